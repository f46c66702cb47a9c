"""ResizeMix (Qin et al., 2020)."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import BoxDraws, Boxes, draw_boxes
from samix.mixup.lam import Ratio
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents


class ResizeMix(Policy):
    """The whole image `second`, scaled down, pasted into a box of `first`.

    The weight of `first` is its true share of the pixels. tau is the side of the box over that of the
    image, by `size`: "share", sqrt(1 - lam) clamped to `scope`, so that lam has the same meaning as in other
    policies; "draw", lam itself, or U(scope) if lam is outside `scope`, as the published benchmarks use a
    number drawn from Beta(alpha, alpha); "scope", always U(scope), as in the paper. A box without a pixel,
    because of the border and rounding, is skipped.
    """

    cost = "static"
    per_sample = True

    def __init__(
        self, size: Literal["share", "draw", "scope"] = "share", scope: tuple[float, float] = (0.1, 0.8)
    ) -> None:
        """Raises: ConfigError for a scope that is not a range inside [0, 1]."""
        super().__init__()
        if not 0 <= scope[0] <= scope[1] <= 1:
            raise ConfigError(f"ResizeMix: scope {tuple(scope)} must be two rising numbers in [0, 1]")
        self.size = size
        self.scope = scope

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> BoxDraws:
        """See Policy: the side of the box, then its centre; for one box per sample, all sides first."""
        several = isinstance(lam, np.ndarray)
        tau = np.array([self._tau(one, rng) for one in lam]) if several else self._tau(lam, rng)  # type: ignore[arg-type,union-attr]
        return draw_boxes(shape, tau, rng)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: BoxDraws, info: PairInfo
    ) -> Mixed:
        """See Policy."""
        second, mask = pairing.select(others), draws.boxes.mask_outside(images)
        if draws.host is None:
            return two_parents(
                blend(images, _resized(second, draws.boxes), mask), pairing, draws.weights, mask
            )
        mixed, box = images.clone(), draws.host.value
        if box.height and box.width:
            mixed[box.at] = F.interpolate(second, (box.height, box.width), mode="nearest")
        return two_parents(mixed, pairing, draws.weights, mask)

    def _tau(self, lam: float, rng: np.random.Generator) -> float:
        low, high = self.scope
        if self.size == "share":
            return min(max(math.sqrt(1 - lam), low), high)
        if self.size == "draw" and low <= lam <= high:
            return lam
        return float(rng.uniform(low, high))


def _resized(images: Tensor, boxes: Boxes) -> Tensor:
    """Each image scaled to its box, at the place of the box; pixels outside are undefined; (N, 3, H, W)."""
    n, channels, height, width = images.shape
    rows = _sources(height, boxes.top, boxes.bottom)[:, None, :, None]
    columns = _sources(width, boxes.left, boxes.right)[:, None, None, :]
    return images.gather(2, rows.expand(n, channels, -1, width)).gather(
        3, columns.expand(n, channels, height, -1)
    )


def _sources(size: int, start: Tensor, end: Tensor) -> Tensor:
    """(n, size): the nearest place of the whole image for each place from start (n,) to end (n,).

    floor(place * float32(size / side)), as torch's interpolation computes it, whatever the images' type.
    """
    place = torch.arange(size, device=start.device) - start[:, None]
    # a tensor is divided, since for a number torch multiplies by the rounded reciprocal
    scale = torch.full_like(start, size, dtype=torch.float32) / (end - start).clamp(min=1)
    return (place.to(torch.float32) * scale[:, None]).floor().long().clamp(0, size - 1)
