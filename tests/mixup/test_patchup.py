"""PatchUp: the features it acts on, its blocks, and its weights against the loss of three terms."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.nn import functional as F

from helpers.mixing import lam_of, mixed_batch
from helpers.no_sync import NoSync
from samix.core.errors import ConfigError
from samix.mixup import CutMix, PatchUp
from samix.objectives import ClassObjective, mixed_loss

IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def run(policy, lam=0.3, seed=0, features=(2, 8, 8)):
    """features: (C, h, w) after the stem and after the first stage alike."""
    return mixed_batch(policy, IMAGES, lam, seed, features=(features, features))


def hidden(policy, lam=0.3, number=0, features=(2, 8, 8)):
    """The result of the number-th seed that acts on features."""
    results = (run(policy, lam, seed, features) for seed in range(1000))
    return next(itertools.islice((out for out in results if out.features is not None), number, None))


def place(out):
    if out.features is not None:
        return out.features.stage + 1
    return "plain" if out.mask is None and lam_of(out) == 1 else 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "probability"), [("soft", 1.0), ("hard", 0.7)])
def test_places_and_probability(kind, probability):
    drawn = Counter(place(run(PatchUp(kind), seed=seed)) for seed in range(900))
    plain = drawn.pop("plain", 0)
    assert stats.binomtest(900 - plain, 900, probability).pvalue > 1e-4
    assert set(drawn) == {0, 1, 2} and stats.chisquare(list(drawn.values())).pvalue > 1e-4


def test_a_batch_that_is_left_alone():
    out = run(PatchUp(probability=0.0))
    assert torch.equal(out.images, IMAGES) and lam_of(out) == 1 and out.features is None


@pytest.mark.slow
def test_images_are_cut_by_a_lam_of_their_own():
    cut = [out for out in (run(PatchUp(), 0.5, seed) for seed in range(400)) if out.features is None]
    shares = [lam_of(out) for out in cut]
    assert all(lam_of(out) == pytest.approx(out.mask.double()[0].mean().item()) for out in cut)
    lams = enumerate(np.random.default_rng(0).random(400))
    plain = [lam_of(run(CutMix(), lam, seed)) for seed, lam in lams]
    assert stats.ks_2samp(shares, plain).pvalue > 1e-4  # uniform lams, whatever the given one is


def naive_altered(policy, shape, seed):
    """Centres dilated by loops: the mask (C, h, w) of what is altered."""
    c, h, w = shape
    side = min(h, w)
    block = next(
        (b for b in (policy.block, 5, 3) if b <= policy.block and 4 * b <= side), min(policy.block, 3)
    )
    block = block if block <= side else 1
    rate = policy.gamma * h * w / (block**2 * (h - block + 1) * (w - block + 1))
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    mask, half = np.zeros(shape), block // 2
    for k, y, x in np.ndindex(*shape):
        if noise[k, y, x] < rate:
            mask[k, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = 1
    return mask


@settings(deadline=None, max_examples=60)
@given(
    c=st.integers(1, 3),
    h=st.integers(1, 34),
    w=st.integers(1, 34),
    seed=st.integers(0, 999),
    kind=st.sampled_from(["soft", "hard"]),
    block=st.sampled_from([1, 3, 5, 7, 9]),
)
def test_blocks_by_loops(c, h, w, seed, kind, block):
    policy = PatchUp(kind, block=block)
    found = policy.mask((c, h, w), torch.Generator().manual_seed(seed))
    np.testing.assert_array_equal(found, naive_altered(policy, (c, h, w), seed))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "block"), [(32, 7), (28, 7), (27, 5), (20, 5), (19, 3), (8, 3), (3, 3), (2, 1), (1, 1)]
)
def test_blocks_shrink_with_the_map(side, block):
    """The largest square shows the block, with a rate near 0 at which no two blocks meet."""
    policy, squares = PatchUp(gamma=0.005), {0}
    for seed in range(2000):
        mask = policy.mask((1, side, side), torch.Generator().manual_seed(seed))[0]
        rows = int(mask.any(1).sum())
        if mask.sum() == rows**2:
            squares.add(rows)
    assert max(squares) == block


def test_not_nearly_all_is_altered():
    for side in (8, 14, 16, 28, 32, 56):
        mask = PatchUp().mask((64, side, side), torch.Generator().manual_seed(0))
        assert 0.4 < mask.mean() < 0.8, side


def three_terms(logits, y, partner, unaltered, lam, kind):
    """The loss as published, term by term, in float64 for one sample."""
    log_p = logits - math.log(sum(math.exp(o) for o in logits))
    ce = lambda target: -sum(t * q for t, q in zip(target, log_p, strict=True))  # noqa: E731
    own, other = np.eye(len(logits))[y], np.eye(len(logits))[partner]
    mixed = other if kind == "hard" else lam * own + (1 - lam) * other
    whole = unaltered * own + (1 - unaltered) * mixed
    return unaltered * ce(own) + (1 - unaltered) * ce(mixed) + ce(whole)


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, np.array([0.1, 0.5, 1.0])], ids=["0", "some", "1", "each"])
def test_values_and_weights(kind, lam):
    policy = PatchUp(kind, probability=1.0)
    shares = np.broadcast_to(lam, 3)
    for number in range(4):
        out = hidden(policy, lam, number, (4, 12, 10))
        assert torch.equal(out.images, IMAGES) and out.features.stage in (0, 1)
        own, partner = torch.randn(2, 3, 4, 12, 10, dtype=torch.float64)
        kept = own.clone(), partner.clone()
        found = out.features.blend(own, partner)
        altered = (found != own).any(0)  # one mask for all samples; lam = 1 alters nothing
        if kind == "hard" or (shares < 1).all():
            for n in range(3):
                inner = partner[n] if kind == "hard" else shares[n] * own[n] + (1 - shares[n]) * partner[n]
                torch.testing.assert_close(found[n], torch.where(altered, inner, own[n]), atol=1e-6, rtol=0)
            unaltered = 1 - altered.double().mean().item()
        else:
            unaltered = None
        assert torch.equal(own, kept[0]) and torch.equal(partner, kept[1])
        assert out.final and out.weights.shape == (2, 3)
        torch.testing.assert_close(out.weights.sum(0), torch.full((3,), 2.0))
        if unaltered is None:
            continue
        logits, y = torch.randn(3, 5, dtype=torch.float64), torch.tensor([0, 1, 4])
        loss = mixed_loss(ClassObjective(), logits, [y, y.roll(1)], out.weights)
        want = np.mean(
            [
                three_terms(logits[n].numpy(), y[n].item(), y[n - 1].item(), unaltered, shares[n], kind)
                for n in range(3)
            ]
        )
        assert loss.item() == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_the_formula_of_the_weights(kind):
    """2 (p + (1 - p) lam) and the rest of 2, against the loss of three terms at numbers that are given."""
    for unaltered in (0.0, 0.25, 1.0):
        for lam in (0.0, 0.4, 1.0):
            logits = np.array([0.3, -1.2, 2.0])
            weight = 2 * (unaltered + (1 - unaltered) * (lam if kind == "soft" else 0.0))
            log_p = F.log_softmax(torch.tensor(logits), 0)
            two = -weight * log_p[0] - (2 - weight) * log_p[2]
            assert two.item() == pytest.approx(three_terms(logits, 0, 2, unaltered, lam, kind))


def test_masks_differ_by_channel_and_seed_and_seeds_decide():
    own, partner = torch.zeros(3, 8, 12, 12), torch.ones(3, 8, 12, 12)
    outs = [hidden(PatchUp("hard"), number=n, features=(8, 12, 12)) for n in (0, 0, 1)]
    one, same, other = (out.features.blend(own, partner) for out in outs)
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(one[0], one[1])  # shared by the batch
    assert not torch.equal(one[0, 0], one[0, 1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lam", [0.3, np.array([0.1, 0.5, 1.0])], ids=["one", "each"])
def test_features_keep_their_type_and_gradients_flow(dtype, lam):
    out = hidden(PatchUp(), lam)
    own, partner = (torch.rand(3, 2, 8, 8).to(dtype).requires_grad_() for _ in range(2))
    found = out.features.blend(own, partner)
    assert found.dtype == dtype and out.weights.dtype == torch.float32
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(found.float().sum(), (own, partner)))


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("lam", [0.3, np.array([0.1, 0.5, 1.0])], ids=["one", "each"])
def test_nothing_waits_for_the_device(kind, lam):
    both = torch.rand(2, 3, 2, 8, 8)
    with NoSync():
        for seed in range(8):
            out = run(PatchUp(kind), lam, seed)
            if out.features is not None:
                out.features.blend(*both)


@pytest.mark.parametrize(
    "options", [{"kind": "firm"}, {"probability": 1.2}, {"gamma": -0.1}, {"block": 4}, {"block": 0}]
)
def test_options_out_of_range(options):
    with pytest.raises(ConfigError, match=f"PatchUp: .*{next(iter(options))}"):
        PatchUp(**options)
