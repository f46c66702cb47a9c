import math

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as reference

from samix.data.geometry import centre_crop, crop_resize, pad_crop, random_crops


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [8, 33])
def test_crop_resize_is_torchvisions_resized_crop(size):
    images = torch.rand(40, 3, size, size, generator=_generator(), dtype=torch.float64)
    boxes = random_crops(40, size, (0.1, 1.0), (0.5, 2.0), _generator(1))
    flip = torch.arange(40) % 2 == 0
    views = crop_resize(images, boxes, flip, size)
    for image, box, mirrored, view in zip(images, boxes.int().tolist(), flip, views, strict=True):
        expected = reference.resized_crop(image, *box, size=[size, size], antialias=True)
        torch.testing.assert_close(view, expected.flip(-1) if mirrored else expected)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("side", "size"), [(40, 33), (40, 7), (12, 12), (9, 24)])
def test_crops_of_another_size_are_torchvisions_with_antialias(side, size, interpolation):
    # 0.4..0.6 keeps clear of the range's ends, which the bicubic kernel could overshoot
    images = 0.4 + 0.2 * torch.rand(30, 3, side, side, generator=_generator(), dtype=torch.float64)
    boxes = random_crops(30, side, (0.05, 1.0), (0.5, 2.0), _generator(1))
    flip = torch.arange(30) % 3 == 0
    views = crop_resize(images, boxes, flip, size, interpolation)
    mode = InterpolationMode(interpolation)
    for image, box, mirrored, view in zip(images, boxes.int().tolist(), flip, views, strict=True):
        expected = reference.resized_crop(image, *box, size=[size, size], interpolation=mode, antialias=True)
        torch.testing.assert_close(view, expected.flip(-1) if mirrored else expected, atol=1e-6, rtol=0)


def test_bicubic_values_stay_in_range():
    images = torch.rand(8, 3, 12, 12, generator=_generator()).round()
    boxes, flip = random_crops(8, 12, (0.2, 0.5), (0.5, 2.0), _generator(1)), torch.zeros(8, dtype=torch.bool)
    views = crop_resize(images, boxes, flip, 24, "bicubic")
    assert views.min() == 0 and views.max() == 1


@pytest.mark.parametrize(("side", "size", "pad"), [(8, 8, 4), (12, 9, 2), (5, 7, 4)])
def test_pad_crop_is_torchvisions_reflected_crop_to_the_bit(side, size, pad):
    corners = torch.cartesian_prod(*[torch.arange(side + 2 * pad - size + 1)] * 2)
    flip = torch.arange(len(corners)) % 2 == 0
    shape = (len(corners), 3, side, side)
    images = torch.randint(0, 256, shape, generator=_generator(), dtype=torch.uint8)
    views = pad_crop(images, corners, flip, size, pad)
    for image, (top, left), mirrored, view in zip(images, corners.tolist(), flip, views, strict=True):
        padded = reference.pad(image, [pad], padding_mode="reflect")
        expected = reference.crop(padded, top, left, size, size)
        assert torch.equal(view, expected.flip(-1) if mirrored else expected)


@pytest.mark.parametrize(("side", "size"), [(256, 224), (11, 8), (10, 7), (9, 9)])
def test_centre_crop_is_torchvisions(side, size):
    images = torch.rand(2, 3, side, side)
    assert torch.equal(centre_crop(images, size), reference.center_crop(images, [size, size]))


def test_the_whole_image_comes_back_unchanged():
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    boxes = torch.tensor([[0.0, 0, 16, 16]]).repeat(2, 1)
    torch.testing.assert_close(crop_resize(images, boxes, torch.zeros(2, dtype=torch.bool), 16), images)


def test_random_crops_lie_inside_and_keep_scale_and_ratio():
    size, scale, ratio = 64, (0.2, 0.6), (0.75, 4 / 3)
    top, left, height, width = random_crops(4000, size, scale, ratio, _generator()).unbind(1)
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= size).all() and (left + width <= size).all()
    area = height * width / size**2
    assert area.min() > 0.18 and area.max() < 0.62
    # U(0.2, 0.6) has mean 0.4; every draw fits here, so nothing is drawn again.
    assert area.mean().item() == pytest.approx(0.4, abs=0.01)
    aspect = (width / height).log()
    assert aspect.abs().max() < math.log(4 / 3) + 0.07
    assert aspect.mean().abs() < 0.02


def test_random_crops_reach_both_borders():
    top, left, height, width = random_crops(2000, 32, (0.5, 0.5), (1.0, 1.0), _generator()).unbind(1)
    for start, length in ((top, height), (left, width)):
        assert start.min() == 0
        assert (start + length).max() == 32
        assert torch.equal(start, start.floor())


def test_a_crop_that_never_fits_is_the_largest_centred_one():
    boxes = random_crops(3, 32, (1.0, 1.0), (0.5, 0.5), _generator())
    assert boxes.tolist() == [[0, 8, 32, 16]] * 3


def test_every_image_has_its_own_box():
    assert len(random_crops(50, 64, (0.2, 1.0), (0.75, 4 / 3), _generator()).unique(dim=0)) > 45
