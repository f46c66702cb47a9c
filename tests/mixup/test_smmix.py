"""SMMix window by window and pixel by pixel."""

import numpy as np
import pytest
import torch

from helpers.mixing import lam_of, mixed_pairs
from samix.mixup import ImageInfo, PairInfo, SMMix


def run(grid, patch, seed=0, n=3):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, n, 3, grid[0] * patch[0], grid[1] * patch[1], generator=generator)
    attention = torch.rand(2, n, 1, *grid, generator=generator) / 50
    info = PairInfo(ImageInfo(attention=attention[0]), ImageInfo(attention=attention[1]))
    mixed = mixed_pairs(SMMix(), first, second, 0.5, seed, info=info, grid=grid)
    return mixed, first, second, attention


def side_of(mixed, grid):
    side = round(((1 - lam_of(mixed)) * grid[0] * grid[1]) ** 0.5)
    assert lam_of(mixed) == pytest.approx(1 - side**2 / (grid[0] * grid[1]))
    return side


def best_window(attention, side, sign):
    """Upper left patch of the window with the largest sign * sum."""
    sums = {}
    for top in range(attention.shape[0] - side + 1):
        for left in range(attention.shape[1] - side + 1):
            sums[top, left] = sign * attention[top : top + side, left : left + side].double().sum().item()
    return max(sums, key=sums.get)


@pytest.mark.parametrize(
    ("grid", "patch"),
    [((14, 14), (2, 2)), ((8, 8), (4, 4)), ((2, 2), (16, 16)), ((5, 9), (3, 2)), ((1, 1), (4, 4))],
)
def test_pixel_by_pixel(grid, patch):
    for seed in range(4):
        mixed, first, second, attention = run(grid, patch, seed)
        side = side_of(mixed, grid)
        for n in range(3):
            to = best_window(attention[0, n, 0], side, -1)
            origin = best_window(attention[1, n, 0], side, 1)
            want, mask = first[n].clone(), torch.ones(first.shape[2:])
            for y, x in np.ndindex(side * patch[0], side * patch[1]):
                own = to[0] * patch[0] + y, to[1] * patch[1] + x
                want[:, own[0], own[1]] = second[n, :, origin[0] * patch[0] + y, origin[1] * patch[1] + x]
                mask[own] = 0
            assert torch.equal(mixed.images[n], want)
            assert torch.equal(mixed.mask[n, 0], mask)
        torch.testing.assert_close(mixed.mask.mean((1, 2, 3)), mixed.weights[0])


@pytest.mark.parametrize(
    ("grid", "sides"),
    [((14, 14), range(3, 11)), ((8, 8), range(2, 7)), ((2, 2), [1]), ((3, 2), [1]), ((9, 4), [1, 2, 3])],
)
def test_sides(grid, sides):
    found = [side_of(run(grid, (1, 1), seed, n=1)[0], grid) for seed in range(150)]
    assert set(found) == set(sides)


def test_first_of_equals():
    images = torch.rand(2, 1, 3, 4, 4)
    even = ImageInfo(attention=torch.full((1, 1, 4, 4), 1 / 16))
    mixed = mixed_pairs(SMMix(), *images, 0.5, info=PairInfo(even, even), grid=(4, 4))
    side = side_of(mixed, (4, 4))
    assert not mixed.mask[0, 0, :side, :side].any() and mixed.mask.sum() == 16 - side**2


def test_partner_is_the_batch_in_reverse():
    assert SMMix().choose_partners(ImageInfo(), 4, torch.device("cpu")).tolist() == [3, 2, 1, 0]


def test_attention_of_both_is_needed():
    images = torch.rand(2, 1, 3, 4, 4)
    own = ImageInfo(attention=torch.rand(1, 1, 4, 4))
    for info in (PairInfo(), PairInfo(own), PairInfo(second=own)):
        with pytest.raises(ValueError, match="SMMix requires the attention"):
            mixed_pairs(SMMix(), *images, 0.5, info=info, grid=(4, 4))
