import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from samix.data.blur import gaussian_blur, kernel_size


@pytest.mark.parametrize("taps", [3, 9])
def test_blur_is_torchvisions_with_one_sigma_an_image(taps):
    images = torch.rand(5, 3, 14, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigmas = torch.tensor([0.1, 0.5, 1.0, 1.7, 2.0], dtype=torch.float64)
    expected = [
        reference.gaussian_blur(image, [taps, taps], [sigma.item()] * 2)
        for image, sigma in zip(images, sigmas, strict=True)
    ]
    torch.testing.assert_close(gaussian_blur(images, sigmas, taps), torch.stack(expected))


def test_sigma_zero_leaves_the_image():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(gaussian_blur(images, torch.zeros(2), 5), images)


def test_blur_keeps_a_constant_image_and_its_input():
    images = torch.full((1, 3, 8, 8), 0.7)
    blurred = gaussian_blur(images, torch.tensor([2.0]), 5)
    torch.testing.assert_close(blurred, images)
    assert torch.equal(images, torch.full((1, 3, 8, 8), 0.7))


@pytest.mark.parametrize(("size", "taps"), [(224, 23), (96, 9), (64, 7), (32, 3), (8, 3)])
def test_kernel_scales_with_the_image(size, taps):
    assert kernel_size(size) == taps
