"""Boxes and other masks, one a batch, that are drawn on the host: their shares are known without a wait."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Box(NamedTuple):
    """Rows top to bottom and columns left to right, both without their end; may be empty."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def at(self) -> tuple[EllipsisType, slice, slice]:
        """Index of the box in (..., H, W)."""
        return ..., slice(self.top, self.bottom), slice(self.left, self.right)

    def share_outside(self, images: Tensor) -> float:
        """Share of the pixels of images (..., H, W) that are not in the box."""
        height, width = images.shape[-2:]
        return 1 - self.height * self.width / (height * width)

    def mask_outside(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) for images (N, 3, H, W): 0 in the box, 1 elsewhere; the samples share memory."""
        mask = images.new_ones(1, 1, *images.shape[-2:], dtype=torch.float32)
        mask[self.at] = 0
        return mask.expand(len(images), -1, -1, -1)


def draw_box(images: Tensor, ratio: float, generator: np.random.Generator) -> Box:
    """A box of int(H * ratio) rows and int(W * ratio) columns around a uniform pixel, clipped to the images.

    Odd sides lose a pixel, because the edges are half a side, rounded down, away from the centre (CutMix).
    """
    height, width = images.shape[-2:]
    return Box(*_span(height, ratio, generator), *_span(width, ratio, generator))


def mask_outside_product(rows: np.ndarray, columns: np.ndarray, images: Tensor) -> Tensor:
    """1 - rows * columns, (N, 1, H, W) for images (N, 3, H, W); rows (H,) and columns (W,) in [0, 1]."""
    down, across = (
        torch.from_numpy(profile.astype(np.float32)).to(images.device, non_blocking=True)
        for profile in (rows, columns)
    )
    return (1 - torch.outer(down, across)).expand(len(images), 1, -1, -1)


def _span(size: int, ratio: float, generator: np.random.Generator) -> tuple[int, int]:
    half = int(size * ratio) // 2
    centre = int(generator.integers(size))
    return max(0, centre - half), min(size, centre + half)
