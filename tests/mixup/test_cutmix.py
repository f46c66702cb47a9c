"""CutMix pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.mixing import lam_of, mixed_pairs
from samix.mixup import CutMix


def cut(first, second, lam, seed=0):
    return mixed_pairs(CutMix(), first, second, lam, seed)


def parents(h, w, n=2):
    return torch.zeros(n, 3, h, w), torch.ones(n, 3, h, w)


@settings(deadline=None, max_examples=200)
@given(
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    seed=st.integers(0, 1000),
)
def test_one_box_of_the_second(h, w, lam, seed):
    """The box has the sides the method gives it, less what the border clips, and lam is its true share."""
    out = cut(*parents(h, w), lam, seed)
    pasted = out.images.bool()
    assert (pasted == pasted[:1, :1]).all()  # one box per batch, over all channels
    rows, columns = pasted[0, 0].any(1).nonzero().flatten(), pasted[0, 0].any(0).nonzero().flatten()
    assert pasted[0, 0].sum() == len(rows) * len(columns)
    for size, hit in ((h, rows), (w, columns)):
        side = 2 * (int(size * math.sqrt(1 - lam)) // 2)
        assert len(hit) <= side
        if len(hit):
            assert hit[-1] - hit[0] + 1 == len(hit)
            clipped = hit[0] == 0 or hit[-1] == size - 1
            assert len(hit) == side or (clipped and len(hit) >= side // 2)
    assert lam_of(out) == pytest.approx(1 - pasted[0, 0].double().mean().item())
    assert lam_of(out) == pytest.approx(out.mask[0, 0].double().mean().item())
    assert out.mask.shape == (2, 1, h, w)


def test_values_pixel_by_pixel():
    first, second = torch.rand(2, 3, 3, 9, 12)
    before = first.clone(), second.clone()
    out = cut(first, second, 0.5)
    assert 0 < lam_of(out) < 1
    for n, c, y, x in np.ndindex(3, 3, 9, 12):
        source = first if out.mask[n, 0, y, x] == 1 else second
        assert out.images[n, c, y, x] == source[n, c, y, x]
    assert torch.equal(first, before[0]) and torch.equal(second, before[1])


def test_lam_one_keeps_the_first():
    out = cut(*parents(8, 8), 1.0)
    assert not out.images.any() and lam_of(out) == 1


def test_lam_zero_fills_what_the_centre_allows():
    """A box as large as the image covers at least a quarter of it and all of it only around the middle."""
    lams = [lam_of(cut(*parents(8, 8), 0.0, seed)) for seed in range(300)]
    assert min(lams) == 0 and max(lams) == 0.75


@pytest.mark.slow
def test_centres_are_uniform_over_the_image():
    """A box of two rows and two columns ends at its centre, and each centre comes up equally often."""
    rows, columns = np.zeros(8, dtype=int), np.zeros(12, dtype=int)
    for seed in range(3000):
        # half of int(8 * 0.29) and of int(12 * 0.29) is 1
        pasted = cut(*parents(8, 12, 1), 1 - 0.29**2, seed).images[0, 0].bool()
        rows[pasted.any(1).nonzero().max()] += 1
        columns[pasted.any(0).nonzero().max()] += 1
    assert stats.chisquare(rows).pvalue > 1e-4
    assert stats.chisquare(columns).pvalue > 1e-4


def test_seeds_decide():
    first, second = torch.rand(2, 2, 3, 16, 16)
    images = cut(first, second, 0.5, 3).images
    assert torch.equal(images, cut(first, second, 0.5, 3).images)
    assert any(not torch.equal(images, cut(first, second, 0.5, seed).images) for seed in range(5))
