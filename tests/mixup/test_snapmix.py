"""SnapMix pixel by pixel: two boxes, a resize, and labels by class activation maps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import mixed_batch, mixed_pairs
from helpers.no_sync import NoSync
from samix.core.errors import ConfigError
from samix.mixup import ImageInfo, PairInfo, SnapMix

LABELS = [0, 1, 1, 2]


def inputs(n, height, width, seed=0, cells=(4, 3)):
    noise = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, height, width, generator=noise), torch.randn(n, 1, *cells, generator=noise)


def mixed(policy, images, cam, lam, seed=0, labels=None):
    labels = torch.tensor((LABELS * len(images))[: len(images)] if labels is None else labels)
    info = ImageInfo(labels=labels.to(images.device), cam=cam)
    return mixed_batch(policy, images, lam, seed, info=info)


def naive_line(position, size):
    """Two neighbours of a real position in 0 .. size - 1, and the weight of the second."""
    position = min(max(position, 0.0), size - 1.0)
    low = min(int(position), size - 1)
    return low, min(low + 1, size - 1), position - low


def naive_at(values, y, x):
    """Bilinear value of a list of lists at real coordinates."""
    (y0, y1, v), (x0, x1, u) = naive_line(y, len(values)), naive_line(x, len(values[0]))
    upper = (1 - u) * values[y0][x0] + u * values[y0][x1]
    return (1 - v) * upper + v * ((1 - u) * values[y1][x0] + u * values[y1][x1])


def naive_map(cam, size):
    """Lifted to 0, upsampled from the centres of the cells, sum 1."""
    low = min(map(min, cam))
    lifted = [[value - low for value in row] for row in cam]
    down, across = len(cam) / size[0], len(cam[0]) / size[1]
    full = [
        [naive_at(lifted, (y + 0.5) * down - 0.5, (x + 0.5) * across - 0.5) for x in range(size[1])]
        for y in range(size[0])
    ]
    total = sum(map(sum, full))
    return [[value / total for value in row] for row in full]


def naive_box(size, lam, rng):
    box = []
    for side in size:
        half, centre = int(side * math.sqrt(1 - lam)) // 2, int(rng.integers(side))
        box.append((max(0, centre - half), min(side, centre + half)))
    return box


def inside(values, box):
    (top, bottom), (left, right) = box
    return sum(values[y][x] for y in range(top, bottom) for x in range(left, right))


def stretched(y, start, stop, to_start, to_stop):
    """align_corners: first and last pixels of the boxes meet."""
    steps = stop - start - 1
    return to_start + ((y - start) * (to_stop - to_start - 1) / steps if steps else 0.0)


@pytest.mark.parametrize("size", [(12, 12), (10, 16)])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_values_pixel_by_pixel(size, seed):
    images, cam = inputs(4, *size)
    out = mixed(SnapMix(alpha=1.0), images, cam, 0.4, seed)
    rng = np.random.default_rng(seed)
    own = naive_box(size, 0.4, rng)
    source = naive_box(size, rng.beta(1.0, 1.0), rng)
    assert all(low < high for box in (own, source) for low, high in box)
    maps = [naive_map(one[0].double().tolist(), size) for one in cam]
    for n in range(4):
        (top, bottom), (left, right) = own
        content = images[n - 1].double().tolist()
        for y, x in np.ndindex(*size):
            want = images[n, :, y, x].double().tolist()
            pasted = top <= y < bottom and left <= x < right
            if pasted:
                at = stretched(y, top, bottom, *source[0]), stretched(x, left, right, *source[1])
                want = [naive_at(channel, *at) for channel in content]
            assert out.images[n, :, y, x].tolist() == pytest.approx(want, abs=1e-5)
            assert out.mask[n, 0, y, x] == (not pasted)
        kept, given = 1 - inside(maps[n], own), inside(maps[n - 1], source)
        if LABELS[n] == LABELS[n - 1]:
            kept = given = kept + given
        assert out.weights[:, n].tolist() == pytest.approx([kept, given], abs=1e-5)


@pytest.mark.parametrize("bad", [0.0, 3.0, math.nan, math.inf])
def test_maps_without_values_count_by_area(bad):
    images, cam = inputs(4, 12, 12)
    out = mixed(SnapMix(), images, torch.full_like(cam, bad), 0.4, 1, labels=[0, 1, 2, 3])
    share = out.mask.mean((1, 2, 3))
    torch.testing.assert_close(out.weights, torch.stack([share, 1 - share]))
    assert 0 < share[0] < 1


def test_the_second_box_has_a_share_of_its_own():
    """With lam given the first box is as large as it was, the second is drawn again."""
    images, cam = inputs(4, 16, 16)
    small, large = SnapMix(alpha=1e4), SnapMix(alpha=1.0)
    seconds = [mixed(large, images, cam, 0.5, seed).weights[1, 0].item() for seed in range(20)]
    assert max(seconds) - min(seconds) > 0.3
    masks = [mixed(policy, images, cam, 0.5, 3).mask for policy in (small, large)]
    assert torch.equal(*masks)


def test_an_empty_box_leaves_all_as_it_was():
    images, cam = inputs(4, 12, 12)
    for policy, lam in ((SnapMix(), 1.0), (SnapMix(probability=0.0), 0.3)):
        out = mixed(policy, images, cam, lam)
        assert torch.equal(out.images, images) and out.mask.eq(1).all()
        assert out.weights.tolist() == [[1.0] * 4, [0.0] * 4]


def test_some_batches_are_mixed():
    images, cam = inputs(2, 12, 12)
    policy = SnapMix(probability=0.5)
    changed = [not torch.equal(mixed(policy, images, cam, 0.4, seed).images, images) for seed in range(200)]
    assert 70 < sum(changed) < 130


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(2, 4),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    seed=st.integers(0, 1000),
)
def test_any_size(n, size, cells, lam, seed):
    images, cam = inputs(n, *size, seed, cells)
    before = images.clone(), cam.clone()
    out, again = (mixed(SnapMix(), images, cam, lam, seed) for _ in range(2))
    assert torch.equal(images, before[0]) and torch.equal(cam, before[1])
    assert torch.equal(out.images, again.images) and torch.equal(out.weights, again.weights)
    kept = out.mask.bool().expand_as(images)
    assert torch.equal(out.images[kept], images[kept]) and set(out.mask.unique().tolist()) <= {0.0, 1.0}
    assert out.weights.shape == (2, n) and out.weights.min() >= -1e-5 and out.weights.max() <= 2 + 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("lam", [0.4, 1.0])
def test_images_keep_their_type(dtype, lam):
    images, cam = inputs(4, 12, 12)
    out = mixed(SnapMix(), images.to(dtype), cam, lam)
    assert out.images.dtype == dtype
    assert out.mask.dtype == out.weights.dtype == torch.float32


@pytest.mark.parametrize("lam", [0.4, 1.0])
def test_nothing_waits_for_the_device(lam):
    images, cam = inputs(4, 12, 12)
    with NoSync():
        mixed(SnapMix(), images, cam, lam)
    assert mixed(SnapMix(), images.to("meta"), cam.to("meta"), lam).images.device.type == "meta"


def test_mistakes():
    with pytest.raises(ConfigError, match="alpha 0"):
        SnapMix(alpha=0)
    with pytest.raises(ConfigError, match="probability 2"):
        SnapMix(probability=2)
    images, cam = inputs(4, 12, 12)
    for seen in (ImageInfo(cam=cam), ImageInfo(labels=torch.tensor(LABELS))):
        with pytest.raises(ValueError, match="labels and class activation maps"):
            mixed_pairs(SnapMix(), images, images, 0.5, info=PairInfo(seen, seen))
