"""AlignMix: its transport against loops in float64 and against the best assignment, and what it mixes."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from helpers.mixing import mixed_batch
from helpers.no_sync import NoSync
from samix.mixup import AlignMix
from samix.mixup.policies import alignmix
from samix.mixup.policies.alignmix import alignment

pytestmark = pytest.mark.slow


def sinkhorn(cost, eps=0.1, most=100, tolerance=0.1):
    """Cuturi's steps in the potentials of a batch of costs (N, P, P), float64; stops at the tolerance."""
    _, p, q = cost.shape
    f, g = np.zeros((len(cost), p)), np.zeros((len(cost), q))
    steps = 0
    for _ in range(most):
        steps += 1
        before = f
        f = eps * (-math.log(p) - special.logsumexp((g[:, None, :] - cost) / eps, axis=2))
        g = eps * (-math.log(q) - special.logsumexp((f[:, :, None] - cost) / eps, axis=1))
        if np.abs(f - before).sum(1).mean() < tolerance:
            break
    return np.exp((f[:, :, None] + g[:, None, :] - cost) / eps), steps


def costs(first, second):
    a, b = (x.double().flatten(2).numpy() for x in (first, second))
    return ((a[:, :, :, None] - b[:, :, None, :]) ** 2).sum(1)


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 3),
    c=st.integers(1, 5),
    h=st.integers(1, 4),
    w=st.integers(1, 4),
    scale=st.sampled_from([0.01, 0.1, 0.5, 1.0, 3.0]),
    seed=st.integers(0, 999),
)
def test_transport_in_float64(n, c, h, w, scale, seed):
    first, second = scale * torch.randn(2, n, c, h, w, generator=torch.Generator().manual_seed(seed))
    plan, steps = sinkhorn(costs(first, second))
    found = alignment(first, second).double()
    if steps < 100:  # one step more or less, when the sum is at the tolerance, is allowed
        near = [
            sinkhorn(costs(first, second), most=most, tolerance=0)[0]
            for most in (max(1, steps - 1), steps + 1)
        ]
    else:
        near = []
    gaps = [np.abs(found.numpy() - h * w * one).max() for one in (plan, *near)]
    assert min(gaps) < 2e-3
    torch.testing.assert_close(found.sum(1), torch.ones(n, h * w, dtype=torch.float64), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("scale", "least", "most"), [(0.02, 1, 3), (0.6, 4, 99), (6.0, 100, 100)])
def test_it_stops_where_the_rule_says(scale, least, most):
    """Plans of one step fewer or more differ, so the comparison fixes the exact number of steps."""
    first, second = scale * torch.randn(2, 2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    cost = costs(first, second)
    plan, steps = sinkhorn(cost)
    assert least <= steps <= most
    found = alignment(first, second).numpy()
    gap = {k: np.abs(found - 9 * sinkhorn(cost, most=k, tolerance=0)[0]).max() for k in range(1, 101)}
    np.testing.assert_allclose(found, 9 * plan, atol=1e-4)
    if 1 < steps < 100 and scale > 0.1:
        assert gap[steps] < 1e-4 < min(gap[steps - 1], gap[steps + 1])


def test_frozen_steps_are_those_of_a_loop_that_stops(monkeypatch):
    first, second = 0.6 * torch.randn(2, 3, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    _, steps = sinkhorn(costs(first, second))
    whole = alignment(first, second)
    monkeypatch.setattr(alignmix, "ITERATIONS", steps)
    assert torch.equal(alignment(first, second), whole)
    monkeypatch.setattr(alignmix, "ITERATIONS", steps - 1)
    assert not torch.equal(alignment(first, second), whole)


def test_far_features_move_as_the_best_assignment():
    """The cheapest transport between uniform marginals is a permutation; 0.1 is small against the costs."""
    first = 10 * torch.randn(2, 6, 2, 2, generator=torch.Generator().manual_seed(0))
    order = torch.tensor([2, 0, 3, 1])
    second = (first.flatten(2)[..., order] + 0.1).view_as(first)
    cost, plan = costs(first, second), alignment(first, second).numpy()
    for n in range(2):
        best = min(
            itertools.permutations(range(4)), key=lambda p: sum(cost[n, i, j] for i, j in enumerate(p))
        )
        rows, columns = optimize.linear_sum_assignment(cost[n])
        assert tuple(columns[rows]) == best
        np.testing.assert_allclose(plan[n], np.eye(4)[list(best)], atol=1e-4)


def test_uniform_features_spread_evenly():
    torch.testing.assert_close(
        alignment(torch.ones(2, 3, 2, 2), torch.ones(2, 3, 2, 2)), torch.full((2, 4, 4), 0.25)
    )


def test_half_precision_is_transported_in_single():
    first, second = torch.randn(2, 2, 3, 2, 2).bfloat16()
    assert torch.equal(alignment(first, second), alignment(first.float(), second.float()))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(alignment(first, second), alignment(first.float(), second.float()))
        assert alignment(first, second).dtype == torch.float32


def inside(lam, seed, n=2):
    out = mixed_batch(AlignMix(), torch.rand(n, 3, 8, 8), lam, seed)
    assert out.features.stage == -1 and out.mask is None and out.final
    return out


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, np.array([0.2, 0.9])], ids=["0", "some", "1", "each"])
@pytest.mark.parametrize("size", [(3, 3), (2, 4)])
def test_features_are_aligned_and_mixed(lam, size):
    generator = torch.Generator().manual_seed(2)
    first, second = (0.5 * torch.randn(2, 5, *size, generator=generator) for _ in range(2))
    kept = first.clone(), second.clone()
    plan = sinkhorn(costs(first, second))[0] * math.prod(size)
    shares = np.broadcast_to(lam, 2).reshape(2, 1, 1)
    a, b = first.flatten(2).double().numpy(), second.flatten(2).double().numpy()
    moved_b, moved_a = np.zeros_like(a), np.zeros_like(a)
    for n, c, p, q in np.ndindex(2, 5, a.shape[2], a.shape[2]):
        moved_b[n, c, p] += plan[n, p, q] * b[n, c, q]
        moved_a[n, c, q] += plan[n, p, q] * a[n, c, p]
    ways = [shares * a + (1 - shares) * moved_b, shares * moved_a + (1 - shares) * b]
    counts = [0, 0]
    for seed in range(60):
        out = inside(lam, seed)
        found = out.features.blend(first, second).flatten(2).double().numpy()
        hits = [np.allclose(found, way, atol=1e-3) for way in ways]
        assert any(hits)
        counts = [count + hit for count, hit in zip(counts, hits, strict=True)]
        np.testing.assert_allclose(out.weights, [shares.flatten(), 1 - shares.flatten()], atol=1e-6)
    assert stats.binomtest(counts[0], 60).pvalue > 1e-4 and sum(counts) == 60
    assert torch.equal(first, kept[0]) and torch.equal(second, kept[1])


def test_the_transport_gives_no_gradient():
    first, second = torch.randn(2, 2, 3, 2, 2, dtype=torch.float64)
    first, second = first.requires_grad_(), second.requires_grad_()
    plan = alignment(first, second).double()
    assert not plan.requires_grad
    for seed in range(6):
        ours = torch.autograd.grad(inside(0.3, seed).features.blend(first, second).sum(), (first, second))
        a, b = first.flatten(2), second.flatten(2)
        ways = (0.3 * a + 0.7 * b @ plan.mT).sum(), (0.3 * a @ plan + 0.7 * b).sum()
        wanted = [torch.autograd.grad(way, (first, second), retain_graph=True) for way in ways]
        assert any(
            all(torch.allclose(x, y, atol=1e-6) for x, y in zip(ours, want, strict=True)) for want in wanted
        )


@pytest.mark.parametrize("lam", [0.3, np.array([0.3, 0.6])], ids=["one", "each"])
def test_nothing_waits_for_the_device(lam):
    out = inside(lam, 0)
    with NoSync():
        out.features.blend(*torch.randn(2, 2, 3, 2, 2))
    images = torch.rand(2, 3, 8, 8, device="meta")
    out = mixed_batch(AlignMix(), images, lam)
    assert out.features.blend(*torch.randn(2, 2, 3, 2, 2, device="meta")).shape == (2, 3, 2, 2)
