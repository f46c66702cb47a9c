"""The grid of patches and shares of attention, one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup import ImageInfo
from samix.mixup.tokens import attention_to, backbone_grid, flipped, grid_of, in_pixels, share_inside


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 3),
    grid=st.tuples(st.integers(1, 50), st.integers(1, 9)),
    patch=st.tuples(st.integers(1, 9), st.integers(1, 3)),
)
def test_each_pixel_has_the_value_of_its_patch(n, grid, patch):
    mask = torch.rand(n, 1, *grid)
    size = (grid[0] * patch[0], grid[1] * patch[1])
    pixels = in_pixels(mask, torch.empty(n, 3, *size))
    assert pixels.shape == (n, 1, *size)
    y, x = np.arange(size[0]) // patch[0], np.arange(size[1]) // patch[1]
    np.testing.assert_array_equal(pixels, mask.numpy()[:, :, y][..., x])


def test_one_mask_for_all_samples():
    mask = torch.rand(1, 1, 2, 3)
    assert torch.equal(
        in_pixels(mask, torch.empty(4, 3, 4, 3)),
        in_pixels(mask.expand(4, -1, -1, -1), torch.empty(4, 3, 4, 3)),
    )


@pytest.mark.parametrize("masks", [1, 4])
def test_share_of_attention(masks):
    generator = torch.Generator().manual_seed(0)
    attention = torch.rand(4, 1, 3, 5, generator=generator) / 40
    mask = (torch.rand(masks, 1, 3, 5, generator=generator) < 0.4).float()
    share = share_inside(mask, attention)
    for n in range(4):
        inside = sum(attention[n, 0, y, x].item() for y, x in np.ndindex(3, 5) if mask[n % masks, 0, y, x])
        assert share[n].item() == pytest.approx(inside / attention[n].double().sum().item(), abs=1e-6)
    assert torch.equal(share_inside(torch.ones_like(mask), attention), torch.ones(4))


def test_share_without_attention_is_that_of_the_mask():
    mask = torch.zeros(1, 1, 2, 4)
    mask[..., 0, :3] = 1
    torch.testing.assert_close(share_inside(mask, torch.zeros(2, 1, 2, 4)), torch.full((2,), 3 / 8))


@pytest.mark.parametrize(("n", "index"), [(2, [1, 0]), (4, [3, 2, 1, 0]), (3, [2, 1, 0])])
def test_flipped(n, index):
    assert flipped(n, torch.device("cpu")).tolist() == index


def test_grid():
    assert grid_of(BatchShape(1, 32, 48), 16, "X") == (2, 3)
    with pytest.raises(
        ConfigError, match="X: patches of 16 pixels do not divide images of 32 x 40.*option patch"
    ):
        grid_of(BatchShape(1, 32, 40), 16, "X")


def test_grid_of_the_backbone():
    assert backbone_grid(BatchShape(1, 32, 48, (4, 8)), 16, "X") == (4, 8)
    assert backbone_grid(BatchShape(1, 32, 48), 16, "X") == (2, 3)
    with pytest.raises(ConfigError, match="X: images of 8 x 10 pixels are not 2 x 3 whole patches"):
        backbone_grid(BatchShape(2, 8, 10, (2, 3)), 2, "X")


def test_attention_to():
    half = ImageInfo(attention=torch.rand(2, 1, 2, 3).bfloat16())
    assert torch.equal(attention_to(half, "X"), half.attention.double().float())
    assert attention_to(half, "X").dtype == torch.float32
    with pytest.raises(ValueError, match="X requires the attention"):
        attention_to(ImageInfo(), "X")
