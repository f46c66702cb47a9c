"""Saliency Grafting: its chances, its grafts and its labels region by region."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import mixed_batch, mixed_pairs, shape_of
from helpers.no_sync import NoSync
from samix.core.errors import ConfigError
from samix.mixup import ImageInfo, SaliencyGrafting


def inputs(n, height, width, seed=0):
    noise = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, height, width, generator=noise), torch.rand(
        n, 1, height, width, generator=noise
    ) ** 3


def mixed(policy, images, saliency, lam, seed=0):
    return mixed_batch(policy, images, lam, seed, info=ImageInfo(feature_saliency=saliency))


def naive_chances(saliency, n, lam, temperature=0.2):
    """saliency (H, W) -> (n, n): softmax of the regions' means by hand."""
    height, width = len(saliency) // n, len(saliency[0]) // n
    means = [
        [
            sum(
                saliency[y][x]
                for y in range(i * height, (i + 1) * height)
                for x in range(j * width, (j + 1) * width)
            )
            for j in range(n)
        ]
        for i in range(n)
    ]
    top = max(map(max, means))
    powers = [[math.exp(mean / top / temperature) for mean in row] for row in means]
    total = sum(map(sum, powers))
    return [[min(1.0, (1 - lam) * n * n * power / total) for power in row] for row in powers]


@pytest.mark.parametrize(("size", "n"), [((8, 8), 2), ((8, 12), 4), ((6, 6), 1)])
@pytest.mark.parametrize("lam", [0.0, 0.4, 0.9])
def test_values_pixel_by_pixel(size, n, lam):
    images, saliency = inputs(4, *size)
    out = mixed(SaliencyGrafting(grids=[n]), images, saliency, lam, seed=5)
    rng = np.random.default_rng(5)
    assert rng.choice([n]) == n
    uniform = rng.random((4, n, n), dtype=np.float32)
    for k in range(4):
        own, other = saliency[k, 0].double().tolist(), saliency[k - 1, 0].double().tolist()
        chances = naive_chances(other, n, lam)
        kept = given = all_own = all_other = 0.0
        for y, x in np.ndindex(*size):
            i, j = y * n // size[0], x * n // size[1]
            taken = uniform[k, i, j] < chances[i][j]
            assert out.mask[k, 0, y, x] == (not taken)
            assert torch.equal(out.images[k, :, y, x], images[k - 1 if taken else k, :, y, x])
            all_own, all_other = all_own + own[y][x] ** 2, all_other + other[y][x] ** 2
            kept, given = kept + own[y][x] ** 2 * (not taken), given + other[y][x] ** 2 * taken
        kept, given = math.sqrt(kept / all_own), math.sqrt(given / all_other)
        share = kept / (kept + given)
        assert out.weights[:, k].tolist() == pytest.approx([share, 1 - share], abs=1e-5)


def test_chances_follow_saliency_and_lam():
    images, saliency = inputs(6, 8, 8)
    saliency[:, :, :4, :4] *= 20
    policy = SaliencyGrafting(grids=[4])

    def chances_for(lam):
        return policy._chances(saliency, policy.draw(np.random.default_rng(0), lam, shape_of(images)))

    for lam in (0.95, 0.99):
        chances = chances_for(lam)
        torch.testing.assert_close(chances.mean((1, 2, 3)), torch.full((6,), 1 - lam), atol=1e-6, rtol=0)
        assert (chances[:, :, :2, :2].amin((1, 2, 3)) > chances[:, :, 2:].amax((1, 2, 3))).all()
    cut = chances_for(0.1)
    assert cut.max() == 1 and (cut.mean((1, 2, 3)) < 0.9).all()


def test_regions_are_taken_as_often_as_their_chance():
    images, saliency = inputs(2000, 4, 4)
    saliency = saliency[:1].expand(2000, -1, -1, -1)
    policy = SaliencyGrafting(grids=[4])
    often = 1 - mixed(policy, images, saliency, 0.6).mask.mean(0)[0]
    want = torch.tensor(naive_chances(saliency[0, 0].double().tolist(), 4, 0.6))
    torch.testing.assert_close(often, want.float(), atol=0.05, rtol=0)


def test_nothing_salient_goes_by_area():
    images, _ = inputs(3, 8, 8)
    out = mixed(SaliencyGrafting(grids=[4]), images, torch.zeros(3, 1, 8, 8), 0.5)
    share = out.mask.mean((1, 2, 3))
    torch.testing.assert_close(out.weights[0], share.sqrt() / (share.sqrt() + (1 - share).sqrt()))


def test_grids_are_drawn():
    images, saliency = inputs(2, 16, 16)
    policy, seen = SaliencyGrafting(), set()
    for seed in range(60):
        mask = mixed(policy, images, saliency, 0.5, seed).mask[0, 0]
        cells = [
            n
            for n in (1, 2, 4, 8)
            if torch.equal(
                mask, mask[:: 16 // n, :: 16 // n].repeat_interleave(16 // n, 0).repeat_interleave(16 // n, 1)
            )
        ]
        seen.add(min(cells))
    assert seen == {1, 2, 4, 8}


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    scale=st.sampled_from([0.0, 1e-9, 1.0, 1e6]),
    seed=st.integers(0, 1000),
)
def test_any_size(n, size, lam, scale, seed):
    images, saliency = inputs(n, *size, seed)
    saliency = saliency * scale
    before = images.clone(), saliency.clone()
    out, again = (mixed(SaliencyGrafting(), images, saliency, lam, seed) for _ in range(2))
    assert torch.equal(images, before[0]) and torch.equal(saliency, before[1])
    assert torch.equal(out.images, again.images) and torch.equal(out.weights, again.weights)
    assert set(out.mask.unique().tolist()) <= {0.0, 1.0} and out.mask.shape == (n, 1, *size)
    assert torch.equal(out.images, torch.where(out.mask.bool(), images, images.roll(1, 0)))
    lams = out.weights[0]
    assert lams.shape == (n,) and lams.min() >= 0 and lams.max() <= 1
    assert torch.equal(out.weights[1], 1 - lams)
    # who has all the pixels has all of the label
    assert (lams[out.mask.amin((1, 2, 3)) == 1] == 1).all()
    assert (lams[out.mask.amax((1, 2, 3)) == 0] == 0).all()
    if lam == 1:
        assert torch.equal(out.images, images)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(dtype):
    images, saliency = inputs(3, 8, 8)
    out = mixed(SaliencyGrafting(), images.to(dtype), saliency, 0.4)
    assert out.images.dtype == dtype and out.mask.dtype == out.weights.dtype == torch.float32


def test_nothing_waits_for_the_device():
    images, saliency = inputs(3, 16, 16)
    with NoSync():
        mixed(SaliencyGrafting(), images, saliency, 0.4)
    assert mixed(SaliencyGrafting(), images.to("meta"), saliency.to("meta"), 0.4).images.device.type == "meta"


def test_mistakes():
    for options in ({"grids": []}, {"grids": [0, 2]}):
        with pytest.raises(ConfigError, match="grids"):
            SaliencyGrafting(**options)
    with pytest.raises(ConfigError, match="temperature 0"):
        SaliencyGrafting(temperature=0)
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(ValueError, match="feature saliency"):
        mixed_pairs(SaliencyGrafting(), images, images, 0.5)
