"""ResizeMix pixel by pixel, and where tau comes from."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.mixing import lam_of, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import ResizeMix
from samix.mixup.policies import resizemix


@settings(deadline=None, max_examples=100)
@given(
    h=st.integers(1, 30),
    w=st.integers(1, 30),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    seed=st.integers(0, 1000),
)
def test_whole_second_in_a_box_of_the_first(h, w, lam, seed):
    noise = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, 2, 3, h, w, generator=noise)
    out = mixed_pairs(ResizeMix(), first, second, lam, seed)
    rng, tau = np.random.default_rng(seed), min(max(math.sqrt(1 - lam), 0.1), 0.8)
    want, inside = first.clone(), 0
    edges = []
    for size in (h, w):
        centre, half = int(rng.integers(size)), int(size * tau) // 2
        edges.append((max(centre - half, 0), min(centre + half, size)))
    (top, bottom), (left, right) = edges
    mask = torch.ones(h, w)
    for y in range(top, bottom):
        for x in range(left, right):  # nearest: each pixel is read at its top left corner in the large image
            source_y, source_x = (y - top) * h // (bottom - top), (x - left) * w // (right - left)
            want[:, :, y, x] = second[:, :, source_y, source_x]
            mask[y, x], inside = 0, inside + 1
    assert torch.equal(out.images, want)
    assert torch.equal(out.mask, mask.expand(2, 1, h, w))
    assert lam_of(out) == pytest.approx(1 - inside / (h * w))


@pytest.fixture
def ratios(monkeypatch):
    seen = []
    draw = resizemix.draw_boxes

    def spy(shape, ratio, rng):
        seen.append(ratio)
        return draw(shape, ratio, rng)

    monkeypatch.setattr(resizemix, "draw_boxes", spy)
    return seen


def draws(policy, lam, times=1):
    pair = torch.zeros(2, 1, 3, 4, 4)
    for seed in range(times):
        mixed_pairs(policy, *pair, lam, seed)


@pytest.mark.parametrize(("lam", "tau"), [(0.0, 0.8), (0.36, 0.8), (0.5, 0.5**0.5), (0.995, 0.1), (1.0, 0.1)])
def test_share(ratios, lam, tau):
    draws(ResizeMix(), lam)
    assert ratios == [pytest.approx(tau)]


@pytest.mark.parametrize("lam", [0.1, 0.3, 0.8])
def test_draw_inside_the_scope(ratios, lam):
    draws(ResizeMix("draw"), lam)
    assert ratios == [lam]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "lam"), [("draw", 0.05), ("draw", 0.9), ("scope", 0.5)])
def test_uniform_in_the_scope(ratios, size, lam):
    draws(ResizeMix(size, (0.2, 0.6)), lam, times=1000)
    assert stats.kstest(ratios, stats.uniform(0.2, 0.4).cdf).pvalue > 1e-4


@pytest.mark.parametrize("scope", [(0.5, 0.2), (-0.1, 0.5), (0.1, 1.2)])
def test_scope_out_of_range(scope):
    with pytest.raises(ConfigError, match="scope"):
        ResizeMix(scope=scope)
