"""StackMix."""

import pytest
import torch

from helpers.mixing import lam_of, mixed_pairs
from samix.mixup import StackMix, stack


@pytest.mark.parametrize("side", ["right", "below"])
def test_both_images_whole(side):
    first, second = torch.rand(2, 4, 3, 5, 7)
    out = mixed_pairs(StackMix(side), first, second, 0.9, rng=None)
    for n in range(4):
        for y in range(5):
            for x in range(7):
                other = (n, slice(None), y, x + 7) if side == "right" else (n, slice(None), y + 5, x)
                assert torch.equal(out.images[n, :, y, x], first[n, :, y, x])
                assert torch.equal(out.images[other], second[n, :, y, x])
                assert out.mask[n, 0, y, x] == 1 and out.mask[other] == 0
    assert lam_of(out) == 0.5


def test_tests_stack_an_image_with_itself():
    images = torch.rand(2, 3, 4, 5)
    assert stack(images, images).shape == (2, 3, 4, 10)
    assert stack(images, images, "below").shape == (2, 3, 8, 5)
