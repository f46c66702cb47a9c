"""Properties that all hand-made policies share, whatever they do with the pixels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import float32, lam_of, mixed_batch
from helpers.no_sync import NoSync
from samix.mixup import (
    POLICIES,
    CutMix,
    FMix,
    GridMix,
    GuidedMixup,
    ImageInfo,
    InterIntra,
    Mixup,
    RandomChoice,
    ResizeMix,
    SaliencyMix,
    SmoothMix,
    StackMix,
)

STATIC = {
    "mixup": Mixup(),
    "cutmix": CutMix(),
    "fmix": FMix(),
    "fmix full": FMix("full"),
    "fmix soft": FMix(max_soft=0.3),
    "gridmix": GridMix(),
    "gridmix cells": GridMix("cells"),
    "resizemix": ResizeMix(),
    "resizemix draw": ResizeMix("draw"),
    "resizemix scope": ResizeMix("scope"),
    "smoothmix": SmoothMix(),
    "smoothmix released": SmoothMix(as_released=True),
    "saliencymix": SaliencyMix(),
    "saliencymix per sample": SaliencyMix(own_boxes=True),
    "guidedmixup": GuidedMixup("sr"),
    "stackmix": StackMix(),
    "stackmix below": StackMix("below"),
    "inter intra": InterIntra(),
    "random choice": RandomChoice(),
}
ANY_LAM = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1))
SIZES = st.integers(1, 20)


def mixed(policy, images, lam, seed=0):
    """Each image with the one before it, also by policies that have a rule of their own."""
    rows = torch.arange(len(images))
    info = ImageInfo(labels=rows.to(images.device) // 2)
    return mixed_batch(policy, images, lam, seed, index=rows.roll(1), info=info)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATIC)
@settings(deadline=None, max_examples=40)
@given(n=st.integers(2, 5), h=SIZES, w=SIZES, lam=ANY_LAM, seed=st.integers(0, 1000))
def test_lam_is_the_share_of_the_mask_and_the_mask_weighs_the_first(name, n, h, w, lam, seed):
    images = torch.rand(n, 3, h, w, generator=torch.Generator().manual_seed(seed))
    before = images.clone()
    out = mixed(STATIC[name], images, lam, seed)
    assert torch.equal(images, before)
    size = {"stackmix": (h, 2 * w), "stackmix below": (2 * h, w)}.get(name, (h, w))
    assert out.images.shape == (n, 3, *size) and out.images.dtype == images.dtype
    lams, rests = out.weights
    assert lams.shape == (n,) and lams.min() >= 0 and lams.max() <= 1
    torch.testing.assert_close(lams + rests, torch.ones(n))
    assert out.final and out.own_first and out.index[0].tolist() == list(range(n))
    if out.mask is None:
        assert name in ("mixup", "random choice")
        return
    assert out.mask.shape == (n, 1, *size) and out.mask.min() >= 0 and out.mask.max() <= 1
    share = out.mask.double().mean((1, 2, 3))
    if "fmix" in name:  # the requested ratio stays the label
        assert lam_of(out) == float32(lam) and (share - lam).abs().max() <= 1 / (h * w) + 1e-6
    else:
        want = 1 - share if name == "smoothmix released" else share
        torch.testing.assert_close(lams.double(), want, atol=1e-5, rtol=0)
    if "resize" not in name and "stack" not in name:
        weighed = out.mask * images + (1 - out.mask) * images.roll(1, 0)
        torch.testing.assert_close(out.images, weighed, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", STATIC)
def test_seeds_decide(name):
    images = torch.rand(4, 3, 16, 12)
    one, two = mixed(STATIC[name], images, 0.4, 3), mixed(STATIC[name], images, 0.4, 3)
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.weights, two.weights)
    others = [mixed(STATIC[name], images, 0.4, seed).images for seed in range(10)]
    draws = not any(part in name for part in ("stack", "saliency", "guided")) and name != "mixup"
    assert any(not torch.equal(one.images, other) for other in others) == draws


@pytest.mark.parametrize("name", STATIC)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(name, dtype):
    out = mixed(STATIC[name], torch.rand(4, 3, 8, 12).to(dtype), 0.4)
    assert out.images.dtype == dtype and out.weights.dtype == torch.float32
    if out.mask is not None:
        assert out.mask.dtype == torch.float32  # the mean of a half-precision mask would be too inexact


@pytest.mark.parametrize("name", ["mixup", "cutmix", "fmix", "fmix full", "fmix soft", "saliencymix"])
def test_lam_one_is_the_first_image(name):
    images = torch.randn(4, 3, 9, 14)
    out = mixed(STATIC[name], images, 1.0)
    assert torch.equal(out.images, images)
    assert out.weights.tolist() == [[1.0] * 4, [0.0] * 4]


@pytest.mark.parametrize("name", ["mixup", "fmix", "fmix full", "fmix soft"])
def test_lam_zero_is_the_second_image(name):
    images = torch.randn(4, 3, 9, 14)
    out = mixed(STATIC[name], images, 0.0)
    assert torch.equal(out.images, images.roll(1, 0)) and lam_of(out) == 0


@pytest.mark.parametrize("name", STATIC)
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_nothing_waits_for_the_device(name, lam):
    images = torch.rand(4, 3, 16, 12)
    with NoSync():
        mixed(STATIC[name], images, lam)


@pytest.mark.parametrize("name", [name for name in STATIC if "fmix" not in name])
def test_no_value_is_read_back(name):
    """Tensors without values: whatever would look at one fails. (FMix draws on the device, here there is
    no generator for it.)
    """
    out = mixed(STATIC[name], torch.rand(4, 3, 16, 12, device="meta"), 0.4)
    assert out.images.device.type == out.weights.device.type == "meta"


@pytest.mark.parametrize(
    "wait", [lambda x: x.sum().item(), lambda x: x[x > 0.5], lambda x: bool((x > 2).any())]
)
def test_the_watch_notices_a_wait(wait):
    with pytest.raises(AssertionError), NoSync():
        wait(torch.rand(4))


@pytest.mark.parametrize("policy", {type(policy) for policy in STATIC.values()})
def test_table_knows_each_policy_and_its_cost(policy):
    assert policy in POLICIES.values()
    assert policy.cost == ("saliency" if policy in (SaliencyMix, GuidedMixup) else "static")
