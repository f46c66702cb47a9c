"""SmoothMix pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from helpers.mixing import lam_of, mixed_pairs
from samix.mixup import SmoothMix


def run(policy, first, second, lam=0.5, seed=0):
    return mixed_pairs(policy, first, second, lam, seed)


@pytest.mark.parametrize("size", [(8, 8), (5, 12), (12, 5)])
@pytest.mark.parametrize("seed", range(4))
def test_values_pixel_by_pixel(size, seed):
    first, second = torch.rand(2, 2, 3, *size)
    out = run(SmoothMix(), first, second, seed=seed)
    rng = np.random.default_rng(seed)
    sigma, centre = rng.uniform(0.25, 0.5) * size[0], (int(rng.integers(size[0])), int(rng.integers(size[1])))
    total = 0.0
    for y, x in np.ndindex(*size):
        g = math.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * sigma**2))
        total += g
        for n, c in np.ndindex(2, 3):
            want = (1 - g) * first[n, c, y, x].item() + g * second[n, c, y, x].item()
            assert out.images[n, c, y, x].item() == pytest.approx(want, abs=1e-5)
        assert out.mask[1, 0, y, x].item() == pytest.approx(1 - g, abs=1e-5)
    assert lam_of(out) == pytest.approx(1 - total / math.prod(size))


def test_released_labels_are_exchanged_and_the_image_is_not():
    pair = torch.rand(2, 2, 3, 6, 9)
    right, released = run(SmoothMix(), *pair), run(SmoothMix(as_released=True), *pair)
    assert torch.equal(right.images, released.images) and torch.equal(right.mask, released.mask)
    assert lam_of(released) == pytest.approx(1 - lam_of(right))
    assert lam_of(right) != pytest.approx(0.5, abs=1e-3)


def test_given_lam_is_not_used():
    pair = torch.rand(2, 2, 3, 6, 9)
    assert lam_of(run(SmoothMix(), *pair, lam=0.0)) == lam_of(run(SmoothMix(), *pair, lam=1.0))


@pytest.mark.slow
def test_spots_are_anywhere():
    pair = torch.zeros(2, 1, 3, 4, 6)
    spots = [run(SmoothMix(), *pair, seed=seed).mask.flatten().argmin().item() for seed in range(2400)]
    assert stats.chisquare(np.bincount(spots, minlength=24)).pvalue > 1e-4
