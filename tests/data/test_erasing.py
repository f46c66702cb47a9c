import random

import pytest
import torch
from timm.data.random_erasing import RandomErasing

from samix.data.erasing import random_erasing

SIZE = 48


def _ours(n, p=1.0, seed=0):
    return random_erasing(torch.full((n, 3, SIZE, SIZE), 100.0), p, torch.Generator().manual_seed(seed))


def _theirs(n):
    random.seed(0)
    erase = RandomErasing(1.0, mode="pixel", device="cpu")
    return erase(torch.full((n, 3, SIZE, SIZE), 100.0))


def _boxes(x):
    """Top, left, height and width (n,) of what is not 100, which has to be a full box."""
    hit = (x != 100).all(1)
    assert torch.equal(hit, (x != 100).any(1))
    rows, columns = hit.any(2), hit.any(1)
    height, width = rows.sum(1), columns.sum(1)
    assert torch.equal(height * width, hit.sum((1, 2)))
    return rows.int().argmax(1), columns.int().argmax(1), height, width


@pytest.mark.slow
def test_boxes_are_distributed_as_timms():
    ours, theirs = _boxes(_ours(3000)), _boxes(_theirs(3000))
    for one, other in zip(ours, theirs, strict=True):
        quantiles = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
        torch.testing.assert_close(
            one.float().quantile(quantiles), other.float().quantile(quantiles), atol=1.6, rtol=0
        )
    area, expected = (ours[2] * ours[3]).float(), (theirs[2] * theirs[3]).float()
    assert area.mean().item() == pytest.approx(expected.mean().item(), rel=0.04)


def test_noise_is_standard_normal_a_pixel_and_channel():
    x = _ours(200)
    noise = x[x != 100]
    assert noise.mean().abs() < 0.02
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert len(noise.unique()) > 0.9 * len(noise)


def test_a_share_of_images_is_erased_and_the_rest_is_untouched():
    x = _ours(2000, p=0.25)
    assert (x != 100).any((1, 2, 3)).float().mean().item() == pytest.approx(0.25, abs=0.04)


def test_the_input_stays_and_the_generator_alone_decides():
    before = torch.full((4, 3, SIZE, SIZE), 100.0)
    torch.manual_seed(1)
    random.seed(1)
    first = random_erasing(before, 1.0, torch.Generator().manual_seed(0))
    assert (before == 100).all()
    assert torch.equal(first, _ours(4)) and not torch.equal(first, _ours(4, seed=1))
