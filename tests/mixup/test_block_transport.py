"""Blocks that move, against a loop over blocks and rounds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samix.mixup import block_transport
from samix.mixup.block_transport import sources_of, transported


def naive_sources(saliency, shown, price):
    """saliency, shown (t, t) -> for each place the block that comes to it."""
    t = len(saliency)
    places = [divmod(p, t) for p in range(t * t)]
    costs = {
        (p, q): price * ((a - c) ** 2 + (b - d) ** 2) / (t - 1) ** 2 - saliency[a][b] * shown[c][d]
        for p, (a, b) in enumerate(places)
        for q, (c, d) in enumerate(places)
    }
    for _ in range(t):
        claimants = {}
        for p in range(t * t):
            claimants.setdefault(min(range(t * t), key=lambda q, p=p: costs[p, q]), []).append(p)
        plan = {}
        for q, rivals in claimants.items():
            best = min(rivals, key=lambda p, q=q: costs[p, q])
            if costs[best, q] < 0:
                plan[q] = best
            for p in rivals:
                if plan.get(q) != p:
                    costs[p, q] += 1
    return [plan.get(q, q) for q in range(t * t)]


def drawn(n, t, seed):
    rng = np.random.default_rng(seed)
    saliency = rng.gamma(0.4, size=(n, t, t))
    saliency /= saliency.sum((1, 2), keepdims=True)
    return torch.from_numpy(saliency), torch.from_numpy(rng.random((n, t, t)) < rng.random((n, 1, 1)))


@settings(deadline=None, max_examples=40)
@given(t=st.integers(2, 6), price=st.sampled_from([0.0, 0.05, 0.8, 3.0]), seed=st.integers(0, 10_000))
def test_who_goes_where(t, price, seed):
    saliency, shown = drawn(3, t, seed)
    found = sources_of(saliency, shown, price)
    for n in range(3):
        assert found[n].tolist() == naive_sources(saliency[n].tolist(), shown[n].tolist(), price)


def test_what_is_shown_is_shown_once():
    """The places that the mask shows hold different blocks, and together no less saliency than before."""
    saliency, shown = drawn(40, 5, 0)
    sources, moved = sources_of(saliency, shown, 0.05), 0
    for n in range(40):
        there = shown[n].flatten()
        come = sources[n][there].tolist()
        assert len(set(come)) == len(come)
        before, after = saliency[n].flatten()[there].sum(), saliency[n].flatten()[come].sum()
        assert after >= before - 1e-12
        moved += bool(after > before + 1e-3)
    assert moved > 20


def test_too_dear_to_move():
    saliency, shown = drawn(4, 4, 1)
    assert torch.equal(sources_of(saliency, shown, 1e3), torch.arange(16).expand(4, -1))


@pytest.mark.parametrize("size", [(8, 8), (8, 12), (16, 4)])
def test_pixels_of_moved_blocks(size):
    t = 4
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    saliency, shown = drawn(3, t, 2)
    out = transported(images, saliency, shown, 0.05)
    height, width = size[0] // t, size[1] // t
    for n in range(3):
        for q, p in enumerate(naive_sources(saliency[n].tolist(), shown[n].tolist(), 0.05)):
            (a, b), (c, d) = divmod(p, t), divmod(q, t)
            came = images[n, :, a * height : (a + 1) * height, b * width : (b + 1) * width]
            assert torch.equal(out[n, :, c * height : (c + 1) * height, d * width : (d + 1) * width], came)
    assert torch.equal(images, before) and not torch.equal(out, images)


def test_large_batches_move_in_parts(monkeypatch):
    images, (saliency, shown) = torch.rand(7, 3, 8, 8), drawn(7, 4, 3)
    whole = transported(images, saliency, shown, 0.05)
    monkeypatch.setattr(block_transport, "_ENTRIES", 3 * 4**4)
    assert torch.equal(transported(images, saliency, shown, 0.05), whole)
