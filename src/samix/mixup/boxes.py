"""Boxes and other masks, one a batch or one a sample, drawn on the host: their shares are known at once."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.mixup.base import Ratio


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


class Boxes(NamedTuple):
    """One box a sample: as Box, each edge (N,) int64, on the host or, after `on`, on a device."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor

    def on(self, device: torch.device) -> Boxes:
        """The same boxes on a device; one copy, which nobody waits for."""
        return Boxes(*torch.stack(self).to(device, non_blocking=True))

    def share_outside(self, images: Tensor) -> Tensor:
        """(N,) float32: of each image (N, ..., H, W), the share of the pixels that are not in its box."""
        height, width = images.shape[-2:]
        return 1 - ((self.bottom - self.top) * (self.right - self.left)) / (height * width)

    def mask_outside(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) for images (N, 3, H, W): 0 in each image's box, 1 elsewhere."""
        down, across = (torch.arange(size, device=self.top.device) for size in images.shape[-2:])
        rows = (down >= self.top[:, None]) & (down < self.bottom[:, None])
        columns = (across >= self.left[:, None]) & (across < self.right[:, None])
        return _outside(rows.float(), columns.float())


def draw_box(images: Tensor, ratio: float, generator: np.random.Generator) -> Box:
    """A box of int(H * ratio) rows and int(W * ratio) columns around a uniform pixel, clipped to the images.

    Odd sides lose a pixel, because the edges are half a side, rounded down, away from the centre (CutMix).
    """
    height, width = images.shape[-2:]
    return Box(*_span(height, ratio, generator), *_span(width, ratio, generator))


def draw_boxes(images: Tensor, ratios: np.ndarray, generator: np.random.Generator) -> Boxes:
    """As `draw_box`, one box for each of the images (N, ..., H, W); ratios (N,). On the images' device."""
    height, width = images.shape[-2:]
    spans = _spans(height, ratios, generator), _spans(width, ratios, generator)
    return Boxes(*(torch.from_numpy(edge) for span in spans for edge in span)).on(images.device)


def mask_outside_product(rows: np.ndarray, columns: np.ndarray, images: Tensor) -> Tensor:
    """1 - rows * columns, (N, 1, H, W) for images (N, 3, H, W).

    rows (n, H) and columns (n, W) in [0, 1]; n is N, or 1 for a mask that all samples share.
    """
    mask = _outside(to_device(rows, images), to_device(columns, images))
    return mask.expand(len(images), -1, -1, -1)


def to_device(values: np.ndarray, images: Tensor) -> Tensor:
    """Numbers of the host as float32 where the images are, without waiting for the device."""
    return torch.from_numpy(values.astype(np.float32)).to(images.device, non_blocking=True)


def weights(shares: Ratio, images: Tensor) -> float | Tensor:
    """Shares as `Mixed.lam` wants them: a number as it is, one a sample as (N,) where the images are."""
    return to_device(shares, images) if isinstance(shares, np.ndarray) else shares


def _outside(rows: Tensor, columns: Tensor) -> Tensor:
    """1 - rows * columns: (n, H) and (n, W) -> (n, 1, H, W)."""
    return 1 - rows[:, None, :, None] * columns[:, None, None]


def _span(size: int, ratio: float, generator: np.random.Generator) -> tuple[int, int]:
    half = int(size * ratio) // 2
    centre = int(generator.integers(size))
    return max(0, centre - half), min(size, centre + half)


def _spans(size: int, ratios: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    half = (size * ratios).astype(np.int64) // 2
    centre = generator.integers(size, size=len(ratios))
    return (centre - half).clip(min=0), (centre + half).clip(max=size)
