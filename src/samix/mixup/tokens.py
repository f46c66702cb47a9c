"""Functions shared by policies for transformers: the grid of patches, and shares of the attention to them."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.policy import ImageInfo

Grid = tuple[int, int]
"""Rows and columns of patches."""


def flipped(n: int, device: torch.device) -> Tensor:
    """Partners (n,): the batch in reverse order. In an odd batch the middle image is its own partner."""
    return torch.arange(n - 1, -1, -1, device=device)


def attention_to(info: ImageInfo, name: str) -> Tensor:
    """Attention (N, 1, h, w) of the class token to the patches of the images, float32.

    Raises: ValueError if it is missing.
    """
    if info.attention is None:
        raise ValueError(f"{name} requires the attention to the patches of its images")
    return info.attention.float()


def check_patch(patch: int, name: str) -> None:
    """Raise ConfigError for a patch without pixels."""
    if patch < 1:
        raise ConfigError(f"{name}: patch {patch} must be at least 1 pixel")


def backbone_grid(shape: BatchShape, patch: int, name: str) -> Grid:
    """The grid of the backbone's patches; without a backbone that of patches of `patch` x `patch` pixels.

    Raises: ConfigError if the patches do not divide the images.
    """
    if shape.grid is None:
        return grid_of(shape, patch, name)
    height, width = shape.height, shape.width
    rows, columns = shape.grid
    if height % rows or width % columns:
        raise ConfigError(
            f"{name}: images of {height} x {width} pixels are not {rows} x {columns} whole patches; resize "
            "them to a multiple of the backbone's patches."
        )
    return shape.grid


def grid_of(shape: BatchShape, patch: int, name: str) -> Grid:
    """The grid of patches of `patch` x `patch` pixels. Raises: ConfigError if they do not fit the images."""
    height, width = shape.height, shape.width
    if height % patch or width % patch:
        raise ConfigError(
            f"{name}: patches of {patch} pixels do not divide images of {height} x {width}; set the policy's "
            "option patch to the side of the backbone's patches."
        )
    return height // patch, width // patch


def in_pixels(mask: Tensor, images: Tensor) -> Tensor:
    """A mask of patches (n, 1, h, w) -> of pixels (N, 1, H, W) of images (N, 3, H, W); n is 1 or N."""
    height, width = images.shape[-2:]
    count, _, rows, columns = mask.shape
    # exact for all sizes; nearest interpolation by a rounded factor is not
    wide = mask[:, :, :, None, :, None].expand(-1, -1, -1, height // rows, -1, width // columns)
    return wide.reshape(count, 1, height, width).expand(len(images), -1, -1, -1)


def share_inside(mask: Tensor, attention: Tensor) -> Tensor:
    """(N,): the share of the attention (N, 1, h, w) that lies in the mask (N or 1, 1, h, w).

    If the attention is 0 everywhere: the share of the mask.
    """
    positive = attention + 1e-12
    share: Tensor = (mask * positive).sum((1, 2, 3)) / positive.sum((1, 2, 3))
    return share
