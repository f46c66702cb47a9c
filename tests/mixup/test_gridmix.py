"""GridMix pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.mixing import float32, lam_of, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import GridMix


def run(policy, h, w, lam, seed, n=2):
    first, second = torch.ones(n, 3, h, w), torch.zeros(n, 3, h, w)
    return mixed_pairs(policy, first, second, lam, seed)


def naive_holes(h, w, lam, seed):
    """Patch after patch of the crop; a hole is clipped at the edge of the crop."""
    rng = np.random.default_rng(seed)
    area, aspect, across = rng.uniform(0.5, 1) * h * w, rng.uniform(0.5, 2), int(rng.integers(2, 7))
    width = int(math.sqrt(area / aspect))
    height = min(h, int(width * aspect))
    width = min(w, width)
    left = int((w - width) * rng.random())
    top = int((h - height) * rng.random())
    patch = -(-width // across)
    hole = min(max(int(patch * math.sqrt(1 - lam)), 1), patch - 1)
    mask = np.ones((h, w))
    for corner_y in range(top, top + height, patch):
        for corner_x in range(left, left + width, patch):
            for y in range(corner_y, min(corner_y + hole, top + height)):
                for x in range(corner_x, min(corner_x + hole, left + width)):
                    mask[y, x] = 0
    return mask


@settings(deadline=None, max_examples=150)
@given(
    h=st.integers(24, 50),
    w=st.integers(24, 50),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    seed=st.integers(0, 5000),
)
def test_holes_pixel_by_pixel(h, w, lam, seed):
    """From 24 pixels on every crop is wide enough for six patches of two."""
    out = run(GridMix(), h, w, lam, seed)
    want = naive_holes(h, w, lam, seed)
    assert (out.mask.numpy() == want).all() and (out.images.numpy() == want).all()
    assert lam_of(out) == pytest.approx(float32(want.mean()), abs=1e-7)


@settings(deadline=None, max_examples=150)
@given(h=st.integers(1, 12), w=st.integers(1, 12), lam=st.floats(0, 1), seed=st.integers(0, 5000))
def test_small_images_keep_a_pixel_of_each_patch(h, w, lam, seed):
    out = run(GridMix(), h, w, lam, seed)
    assert 0 < lam_of(out) <= 1
    assert lam_of(out) == pytest.approx(out.mask[0].double().mean().item())


def test_less_of_the_second_with_larger_lam():
    shares = [[lam_of(run(GridMix(), 32, 48, lam, seed)) for seed in range(40)] for lam in (0.0, 0.5, 0.9)]
    assert (np.diff(shares, axis=0) >= 0).all() and (shares[0] < np.array(shares[2])).all()


@pytest.mark.parametrize("size", [(32, 32), (8, 20), (9, 14)])
def test_cells_are_whole(size):
    h, w = size
    for seed in range(20):
        out = run(GridMix("cells", cells=4), h, w, 0.5, seed)
        cells = {}
        for y, x in np.ndindex(h, w):
            cells.setdefault((4 * y // h, 4 * x // w), set()).add(out.mask[1, 0, y, x].item())
        assert len(cells) == 16 and all(len(values) == 1 for values in cells.values())
        assert torch.equal(out.images[:, :1], out.mask)
        if h % 4 == w % 4 == 0:
            assert lam_of(out) == pytest.approx(sum(min(values) for values in cells.values()) / 16)


def test_each_cell_is_kept_with_probability_lam():
    kept = sum(run(GridMix("cells", cells=3), 3, 3, 0.3, seed).mask[0, 0] for seed in range(1000))
    for cell in kept.flatten().tolist():
        assert stats.binomtest(int(cell), 1000, 0.3).pvalue > 1e-4


@pytest.mark.parametrize(("lam", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_cells_of_one_image(lam, share):
    assert lam_of(run(GridMix("cells"), 8, 8, lam, 0)) == share


def test_no_cells():
    with pytest.raises(ConfigError, match="cells"):
        GridMix("cells", cells=0)
