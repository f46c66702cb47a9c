"""One lam per sample: every image of a batch is mixed by its own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.mixing import lam_of, mixed_batch, mixed_pairs
from helpers.no_sync import NoSync
from samix.mixup import (
    POLICIES,
    CutMix,
    FMix,
    GridMix,
    ManifoldMix,
    Mixup,
    RandomChoice,
    ResizeMix,
    SmoothMix,
)
from samix.objectives import ClassObjective, mixed_loss

TAKERS = {
    "mixup": Mixup(),
    "cutmix": CutMix(),
    "gridmix": GridMix(),
    "gridmix cells": GridMix("cells"),
    "resizemix": ResizeMix(),
    "resizemix draw": ResizeMix("draw"),
    "resizemix scope": ResizeMix("scope"),
    "smoothmix": SmoothMix(),
    "smoothmix released": SmoothMix(as_released=True),
    "manifoldmix": ManifoldMix((0,)),
    "random choice": RandomChoice(),
}
LAM = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))


def mixed(policy, images, lams, seed=0):
    return mixed_batch(policy, images, np.array(lams), seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKERS)
@settings(deadline=None, max_examples=30)
@given(
    h=st.integers(1, 20),
    w=st.integers(1, 20),
    lams=st.lists(LAM, min_size=1, max_size=5),
    seed=st.integers(0, 999),
)
def test_labels_follow_the_masks(name, h, w, lams, seed):
    images = torch.rand(len(lams), 3, h, w, generator=torch.Generator().manual_seed(seed))
    before = images.clone()
    out = mixed(TAKERS[name], images, lams, seed)
    assert torch.equal(images, before)
    assert out.images.shape == images.shape and out.weights.shape == (2, len(lams))
    assert out.weights.dtype == torch.float32 and torch.equal(out.weights[1], 1 - out.weights[0])
    if out.mask is None:
        return
    assert out.mask.shape == (len(lams), 1, h, w) and out.mask.min() >= 0 and out.mask.max() <= 1
    share = out.mask.double().mean((1, 2, 3))
    want = 1 - share if name == "smoothmix released" else share
    torch.testing.assert_close(out.weights[0].double(), want, atol=1e-5, rtol=0)
    if "resize" not in name:
        weighed = out.mask * images + (1 - out.mask) * images.roll(1, 0)
        torch.testing.assert_close(out.images, weighed, atol=1e-5, rtol=0)


@pytest.mark.parametrize("policy", [Mixup(), ManifoldMix((0,))])
def test_mixup_of_each_pair(policy):
    images, lams = torch.rand(4, 3, 5, 7), [0.0, 0.25, 0.8, 1.0]
    out = mixed(policy, images, lams)
    plain = images.numpy().astype("f8")
    for n, lam in enumerate(lams):
        np.testing.assert_allclose(out.images[n], lam * plain[n] + (1 - lam) * plain[n - 1], atol=1e-6)
    assert torch.equal(out.images[0], images[3]) and torch.equal(out.images[3], images[3])
    np.testing.assert_allclose(out.weights, [lams, np.subtract(1, lams)], atol=1e-7)


def edges(size, centre, ratio):
    half = int(size * ratio) // 2
    return max(centre - half, 0), min(centre + half, size)


@settings(deadline=None, max_examples=60)
@given(
    h=st.integers(1, 24),
    w=st.integers(1, 24),
    lams=st.lists(LAM, min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
@pytest.mark.parametrize("policy", [CutMix(), ResizeMix()], ids=["cutmix", "resizemix"])
def test_boxes_pixel_by_pixel(policy, h, w, lams, seed):
    n = len(lams)
    first, second = torch.rand(2, n, 3, h, w, generator=torch.Generator().manual_seed(seed))
    out = mixed_pairs(policy, first, second, np.array(lams), seed)
    rng, want = np.random.default_rng(seed), first.clone()
    centres = rng.integers(h, size=n), rng.integers(w, size=n)
    for i, lam in enumerate(lams):
        ratio = math.sqrt(1 - lam)
        if isinstance(policy, ResizeMix):
            ratio = min(max(ratio, 0.1), 0.8)
        (top, bottom), (left, right) = edges(h, centres[0][i], ratio), edges(w, centres[1][i], ratio)
        for y in range(top, bottom):
            for x in range(left, right):
                source = (y, x)
                if isinstance(policy, ResizeMix):
                    source = (y - top) * h // (bottom - top), (x - left) * w // (right - left)
                want[i, :, y, x] = second[i, :, source[0], source[1]]
        share = 1 - (bottom - top) * (right - left) / (h * w)
        assert out.weights[:, i].tolist() == pytest.approx([share, 1 - share], abs=1e-6)
    assert torch.equal(out.images, want)


@pytest.mark.parametrize(
    "policy", [GridMix(), GridMix("cells"), SmoothMix()], ids=["holes", "cells", "spots"]
)
def test_masks_are_those_of_single_images_one_after_the_other(policy):
    first, second = torch.rand(2, 5, 3, 30, 26)
    lams = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    out = mixed_pairs(policy, first, second, lams, 3)
    generator = np.random.default_rng(3)
    for n, lam in enumerate(lams):
        one = mixed_pairs(policy, first[n : n + 1], second[n : n + 1], float(lam), generator)
        assert torch.equal(out.mask[n : n + 1], one.mask)
        assert out.weights[0, n].item() == pytest.approx(lam_of(one), abs=1e-6)
    assert len({mask.numpy().tobytes() for mask in out.mask}) > 1


def test_boxes_of_a_batch_are_independent_and_uniform():
    """A box of two rows and two columns ends at its centre."""
    pair = torch.zeros(4000, 3, 8, 12), torch.ones(4000, 3, 8, 12)
    lams = np.full(4000, 1 - 0.29**2)
    pasted = mixed_pairs(CutMix(), *pair, lams).images[:, 0]
    ends = [pasted.amax(2 - axis).mul(torch.arange(1, size + 1)).amax(1) for axis, size in ((0, 8), (1, 12))]
    rows, columns = (torch.bincount(end.long() - 1).numpy() for end in ends)
    assert stats.chisquare(rows).pvalue > 1e-4 and stats.chisquare(columns).pvalue > 1e-4
    _, p, *_ = stats.chi2_contingency(np.histogram2d(*(end.numpy() for end in ends), bins=(8, 12))[0])
    assert p > 1e-4


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(name, dtype):
    out = mixed(TAKERS[name], torch.rand(3, 3, 9, 12).to(dtype), [0.0, 0.4, 1.0])
    assert out.images.dtype == dtype and out.weights.dtype == torch.float32
    assert out.mask is None or out.mask.dtype == torch.float32


@pytest.mark.parametrize("name", TAKERS)
def test_nothing_waits_for_the_device(name):
    images = torch.rand(3, 3, 9, 12)
    with NoSync():
        mixed(TAKERS[name], images, [0.0, 0.4, 1.0])
    out = mixed(TAKERS[name], images.to("meta"), [0.0, 0.4, 1.0])
    assert out.images.device.type == out.weights.device.type == "meta"


@pytest.mark.parametrize("name", TAKERS)
def test_seeds_decide(name):
    images, lams = torch.rand(3, 3, 16, 16), [0.2, 0.5, 0.7]
    one, two = mixed(TAKERS[name], images, lams, 3), mixed(TAKERS[name], images, lams, 3)
    assert torch.equal(one.images, two.images) and torch.equal(one.weights, two.weights)
    others = [mixed(TAKERS[name], images, lams, seed).images for seed in range(5)]
    assert any(not torch.equal(one.images, other) for other in others) == (
        name not in ("mixup", "manifoldmix")
    )


def test_the_loss_weighs_each_sample_by_its_own():
    out = mixed(CutMix(), torch.rand(4, 3, 16, 16), [0.1, 0.4, 0.6, 0.9])
    logits, labels = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    loss = mixed_loss(ClassObjective(), logits, [labels, labels.roll(1)], out.weights)
    want = 0.0
    for row, lam, own, other in zip(logits, out.weights[0].tolist(), range(4), (3, 0, 1, 2), strict=True):
        cost = [math.log(sum(math.exp(o) for o in row.tolist())) - row[k].item() for k in (own, other)]
        want += (lam * cost[0] + (1 - lam) * cost[1]) / 4
    assert loss.item() == pytest.approx(want, abs=1e-6)


def test_who_takes_one_lam_per_sample():
    assert {"mixup", "cutmix", "gridmix", "resizemix", "smoothmix", "manifoldmix", "patchup", "alignmix"} <= {
        name for name, kind in POLICIES.items() if kind.per_sample
    }
    assert RandomChoice().per_sample and not RandomChoice(("mixup", "fmix"), (None, None)).per_sample
    with pytest.raises(ValueError, match="one lam for the whole batch"):
        mixed(FMix(), torch.rand(2, 3, 4, 4), [0.2, 0.3])
