import colorsys

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from samix.data import colour

PAIRS = [
    (colour.adjust_brightness, reference.adjust_brightness),
    (colour.adjust_contrast, reference.adjust_contrast),
    (colour.adjust_saturation, reference.adjust_saturation),
]


@pytest.fixture
def images():
    x = torch.rand(12, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    x[0] = x[0, :1]  # grey: without a hue
    x[1, :, :3] = 0
    x[2, 0] = x[2, 1]  # two channels share the maximum or minimum
    x[3] = x[3].round()
    return x


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_factors_are_torchvisions_one_per_image(images, ours, theirs):
    factors = torch.linspace(0, 2, len(images))
    expected = [theirs(image, factor.item()) for image, factor in zip(images, factors, strict=True)]
    torch.testing.assert_close(ours(images, factors), torch.stack(expected))


def test_hue_is_torchvisions_one_per_image(images):
    shifts = torch.linspace(-0.5, 0.5, len(images))
    expected = [reference.adjust_hue(x, shift.item()) for x, shift in zip(images, shifts, strict=True)]
    torch.testing.assert_close(colour.adjust_hue(images, shifts), torch.stack(expected), atol=2e-6, rtol=0)


def test_hue_is_that_of_colorsys():
    pixel = (0.2, 0.7, 0.4)
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    expected = colorsys.hsv_to_rgb((hue + 0.3) % 1, saturation, value)
    x = torch.tensor(pixel, dtype=torch.float64)[None, :, None, None]
    turned = colour.adjust_hue(x, torch.tensor([0.3], dtype=torch.float64))
    assert turned.flatten().tolist() == pytest.approx(expected, abs=1e-12)


def test_neutral_factors_change_nothing(images):
    ones = torch.ones(len(images))
    for change, _ in PAIRS:
        assert torch.equal(change(images, ones), images)
    torch.testing.assert_close(colour.adjust_hue(images, 0 * ones), images, atol=1e-6, rtol=0)


def test_gray_is_torchvisions(images):
    expected = reference.rgb_to_grayscale(images)
    torch.testing.assert_close(colour.gray(images), expected)
