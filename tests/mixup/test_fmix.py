"""FMix against sums of waves written out."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from helpers.mixing import float32, lam_of, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import FMix


def run(policy, h, w, lam, seed, n=2):
    first, second = torch.ones(n, 3, h, w), torch.zeros(n, 3, h, w)
    return mixed_pairs(policy, first, second, lam, seed)


def naive_waves(spectrum, h, w):
    """Inverse real DFT (h, w) of a half spectrum {(row, column): value}: real parts of complex waves."""
    out = np.zeros((h, w))
    for (j, c), value in spectrum.items():
        twice = 1 if c == 0 or 2 * c == w else 2  # a frequency includes its mirror image
        for y, x in np.ndindex(h, w):
            out[y, x] += twice * (value * np.exp(2j * math.pi * (j * y / h + c * x / w))).real
    return out / (h * w)


def naive_spectrum(kind, h, w, decay, normals):
    def amplitude(j, c):
        down = (j if j < (h + 1) // 2 else j - h) / h
        return 1 / max(math.hypot(down, c / w), 1 / max(h, w)) ** decay

    half = w // 2 + 1
    if kind == "full":
        return {
            (j, c): amplitude(j, c) * complex(normals[0, j, c], normals[1, j, c])
            for j, c in np.ndindex(h, half)
        }
    # R (2 rows, half columns, 2): rows are the real and imaginary part, columns become vertical frequencies
    r = [[[amplitude(row, j) * normals[row, j, c] for c in (0, 1)] for j in range(half)] for row in (0, 1)]
    return {(j, c): complex(r[0][j][c], r[1][j][c]) for j in range(min(half, h)) for c in (0, 1)}


def naive_mask(policy, h, w, lam, seed):
    rng = np.random.default_rng(seed)
    kept = (math.ceil if rng.random() < 0.5 else math.floor)(lam * h * w)
    noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
    shape = (2, h, w // 2 + 1) if policy.spectrum == "full" else (2, w // 2 + 1, 2)
    normals = torch.randn(shape, generator=noise).numpy().astype("f8")
    waves = naive_waves(naive_spectrum(policy.spectrum, h, w, policy.decay, normals), h, w)
    soft = int(min(policy.max_soft, lam, 1 - lam) * h * w)
    values = [1.0] * (kept - soft) + np.linspace(1, 0, 2 * soft).tolist()
    values += [0.0] * (h * w - len(values))
    mask = np.zeros(h * w)
    for value, place in zip(values, sorted(range(h * w), key=lambda p: -waves.flat[p]), strict=True):
        mask[place] = value
    return mask.reshape(h, w)


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (4, 12), (9, 4)])  # (4, 12): more columns than rows
@pytest.mark.parametrize("spectrum", ["released", "full"])
@pytest.mark.parametrize(("lam", "max_soft", "decay"), [(0.3, 0.0, 3.0), (0.62, 0.2, 3.0), (0.15, 0.4, 1.5)])
def test_mask_pixel_by_pixel(size, spectrum, lam, max_soft, decay):
    policy = FMix(spectrum, decay, max_soft)
    for seed in range(3):
        out = run(policy, *size, lam, seed)
        want = naive_mask(policy, *size, lam, seed)
        for n in range(2):
            np.testing.assert_allclose(out.mask[n, 0], want, atol=1e-5)
            np.testing.assert_allclose(out.images[n, 1], want, atol=1e-5)
        assert lam_of(out) == float32(lam)


def test_released_masks_are_wide_and_full_ones_are_round():
    """Only horizontal frequencies 0 and 1 means that a row changes sides at most twice around the circle;
    the whole spectrum has rows with more changes.
    """

    def changes(spectrum):
        masks = [run(FMix(spectrum, decay=1.0), 24, 24, 0.5, seed, 1).mask[0, 0] for seed in range(20)]
        return max(int((mask != mask.roll(1, 1)).sum(1).max()) for mask in masks)

    assert changes("released") == 2
    assert changes("full") > 2


def test_higher_decay_is_smoother():
    def border(decay):
        masks = [run(FMix("full", decay), 24, 24, 0.5, seed, 1).mask[0, 0] for seed in range(20)]
        return sum((mask != mask.roll(1, 0)).sum() for mask in masks)

    assert border(3.0) < border(1.0) < border(0.0)


@pytest.mark.parametrize("lam", [0, 1])
def test_whole_numbers(lam):
    out = run(FMix(max_soft=0.2), 6, 5, lam, 0)
    assert out.images.eq(lam).all() and lam_of(out) == lam


def test_a_fraction_of_a_pixel_is_rounded_either_way():
    kept = [int(run(FMix(), 5, 5, 0.5, seed, 1).mask.sum()) for seed in range(400)]
    assert set(kept) == {12, 13}
    assert stats.binomtest(kept.count(13), 400).pvalue > 1e-3


@pytest.mark.parametrize("options", [{"max_soft": 0.5}, {"max_soft": -0.1}, {"decay": -1.0}])
def test_options_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        FMix(**options)
