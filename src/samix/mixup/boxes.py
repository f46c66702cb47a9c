"""Boxes, one per batch or one per sample, drawn on the host, so that their shares are known at once."""

from __future__ import annotations

from types import EllipsisType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.draws import HostOnly
from samix.mixup.lam import pair_weights


class Box(NamedTuple):
    """Rows from top to bottom and columns from left to right, ends excluded; may be empty."""

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

    def share_outside(self, height: int, width: int) -> float:
        """Share of the pixels of images of height x width that are not in the box."""
        return 1 - self.height * self.width / (height * width)


class Boxes(NamedTuple):
    """One box per sample, or one for all: as Box, each edge (n,) int64 with n = N or 1."""

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor

    def share_outside(self, height: int, width: int) -> Tensor:
        """(n,) float32: of each image of height x width, the share of the pixels that are not in its box."""
        return 1 - ((self.bottom - self.top) * (self.right - self.left)) / (height * width)

    def mask_outside(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) for images (N, 3, H, W): 0 in each image's box, 1 elsewhere."""
        down, across = (torch.arange(size, device=self.top.device) for size in images.shape[-2:])
        rows = (down >= self.top[:, None]) & (down < self.bottom[:, None])
        columns = (across >= self.left[:, None]) & (across < self.right[:, None])
        return outside(rows.float(), columns.float()).expand(len(images), -1, -1, -1)


class BoxDraws(NamedTuple):
    """Boxes of a batch, the weights (2, N) of the parents of images with them, and the box as integers.

    host: None if each sample has its own box, or if the step is one graph.
    """

    boxes: Boxes
    weights: Tensor
    host: HostOnly | None


def draw_box(height: int, width: int, ratio: float, rng: np.random.Generator) -> Box:
    """A box of int(H * ratio) rows and int(W * ratio) columns around a uniform pixel, clipped to the images.

    Odd sides lose a pixel, because the edges are half a side, rounded down, away from the centre (CutMix).
    """
    return Box(*_span(height, ratio, rng), *_span(width, ratio, rng))


def draw_boxes(shape: BatchShape, ratio: float | np.ndarray, rng: np.random.Generator) -> BoxDraws:
    """Boxes as `draw_box` draws them: one for the batch, or one for each ratio (N,)."""
    height, width = shape.height, shape.width
    if isinstance(ratio, np.ndarray):
        spans = _spans(height, ratio, rng), _spans(width, ratio, rng)
        boxes = Boxes(*(torch.from_numpy(edge) for span in spans for edge in span))
        share = boxes.share_outside(height, width)
        return BoxDraws(boxes, torch.stack([share, 1 - share]), None)
    box = draw_box(height, width, ratio, rng)
    weights = pair_weights(box.share_outside(height, width), shape.images)
    return BoxDraws(as_boxes(box), weights, HostOnly(box))


def as_boxes(box: Box) -> Boxes:
    """One box for all samples."""
    return Boxes(*torch.tensor(box)[:, None])


def outside(rows: Tensor, columns: Tensor) -> Tensor:
    """1 - rows * columns: (n, H) and (n, W) in [0, 1] -> (n, 1, H, W)."""
    return 1 - rows[:, None, :, None] * columns[:, None, None]


def as_float32(values: np.ndarray) -> Tensor:
    """Numbers of the host as a float32 tensor."""
    return torch.from_numpy(values.astype(np.float32))


def _span(size: int, ratio: float, rng: np.random.Generator) -> tuple[int, int]:
    half = int(size * ratio) // 2
    centre = int(rng.integers(size))
    return max(0, centre - half), min(size, centre + half)


def _spans(size: int, ratios: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    half = (size * ratios).astype(np.int64) // 2
    centre = rng.integers(size, size=len(ratios))
    return (centre - half).clip(min=0), (centre + half).clip(max=size)
