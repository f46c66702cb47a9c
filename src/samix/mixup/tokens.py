"""What policies for transformers share: the grid of patches, and shares of the attention to them."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Seen

Grid = tuple[int, int]
"""Rows and columns of patches."""


def flipped(n: int, device: torch.device) -> Tensor:
    """Partners (n,): the batch in reverse order. In an odd batch the middle one meets itself."""
    return torch.arange(n - 1, -1, -1, device=device)


def attention_to(seen: Seen, images: Tensor, name: str) -> Tensor:
    """Attention (N, 1, h, w) of the class token to the patches of images (N, 3, H, W), float32.

    Raises: ValueError where the host gave none; ConfigError for images that are no whole patches.
    """
    if seen.attention is None:
        raise ValueError(f"{name} needs the attention to the patches of its images")
    height, width = images.shape[-2:]
    rows, columns = seen.attention.shape[-2:]
    if height % rows or width % columns:
        raise ConfigError(
            f"{name}: images of {height} x {width} pixels are not {rows} x {columns} whole patches; resize "
            "them to a multiple of the backbone's patches."
        )
    return seen.attention.float()


def check_patch(patch: int, name: str) -> None:
    """Raise ConfigError for a patch without pixels."""
    if patch < 1:
        raise ConfigError(f"{name}: patch {patch} must be at least 1 pixel")


def grid_of(images: Tensor, patch: int, name: str) -> Grid:
    """The grid of patches of `patch` x `patch` pixels. Raises: ConfigError where they leave a rest."""
    height, width = images.shape[-2:]
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
    # exact whatever the sizes are, which nearest interpolation by a rounded factor is not
    wide = mask[:, :, :, None, :, None].expand(-1, -1, -1, height // rows, -1, width // columns)
    return wide.reshape(count, 1, height, width).expand(len(images), -1, -1, -1)


def share_inside(mask: Tensor, attention: Tensor) -> Tensor:
    """(N,): which part of the attention (N, 1, h, w) lies in the mask (N or 1, 1, h, w).

    Where there is no attention at all, the share of the mask.
    """
    positive = attention + 1e-12
    share: Tensor = (mask * positive).sum((1, 2, 3)) / positive.sum((1, 2, 3))
    return share
