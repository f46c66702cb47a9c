"""ResizeMix (Qin et al., 2020)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Policy, Ratio, blend
from samix.mixup.boxes import Boxes, draw_box, draw_boxes


class ResizeMix(Policy):
    """The whole of `second`, made small, pasted into a box of `first`; lam becomes the true share of `first`.

    tau, the side of the box as a part of the image's, by `size`: "share", sqrt(1 - lam) clamped to `scope`,
    so that lam means what it means elsewhere; "draw", lam itself, and from U(scope) where it lies outside,
    as the published benchmarks read a number drawn from Beta(alpha, alpha); "scope", always from U(scope), as
    the paper does. A box that the border and rounding leave without a pixel is skipped.
    """

    cost: ClassVar[Cost] = "S"
    per_sample = True

    def __init__(
        self, size: Literal["share", "draw", "scope"] = "share", scope: tuple[float, float] = (0.1, 0.8)
    ) -> None:
        """Raises: ConfigError for a scope that is no range inside [0, 1]."""
        super().__init__()
        if not 0 <= scope[0] <= scope[1] <= 1:
            raise ConfigError(f"ResizeMix: scope {tuple(scope)} must be two rising numbers in [0, 1]")
        self.size = size
        self.scope = scope

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with its boxes as mask, one a batch or one a lam."""
        if isinstance(lam, np.ndarray):
            boxes = draw_boxes(first, np.array([self._tau(one, generator) for one in lam]), generator)
            mask = boxes.mask_outside(first)
            return Mixed(blend(first, _resized(second, boxes), mask), boxes.share_outside(first), mask)
        box = draw_box(first, self._tau(lam, generator), generator)
        images = first.clone()
        if box.height and box.width:
            images[box.at] = F.interpolate(second, (box.height, box.width), mode="nearest")
        return Mixed(images, box.share_outside(first), box.mask_outside(first))

    def _tau(self, lam: float, generator: np.random.Generator) -> float:
        low, high = self.scope
        if self.size == "share":
            return min(max(math.sqrt(1 - lam), low), high)
        if self.size == "draw" and low <= lam <= high:
            return lam
        return float(generator.uniform(low, high))


def _resized(images: Tensor, boxes: Boxes) -> Tensor:
    """Each image made as small as its box and put there, what is outside is without meaning; (N, 3, H, W)."""
    _, channels, height, width = images.shape
    rows = _sources(height, boxes.top, boxes.bottom)[:, None, :, None]
    columns = _sources(width, boxes.left, boxes.right)[:, None, None, :]
    return images.gather(2, rows.expand(-1, channels, -1, width)).gather(
        3, columns.expand(-1, channels, height, -1)
    )


def _sources(size: int, start: Tensor, end: Tensor) -> Tensor:
    """(N, size): the place of the whole that each place from start (N,) to end (N,) shows, the nearest."""
    place = torch.arange(size, device=start.device) - start[:, None]
    return (place * size // (end - start).clamp(min=1)[:, None]).clamp(0, size - 1)
