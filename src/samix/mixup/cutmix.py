"""CutMix (Yun et al., 2019)."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from samix.mixup.base import Guides, Mixed, Policy


class CutMix(Policy):
    """A box of `second` pasted into `first`; lam becomes the true share of `first`."""

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        lam: float,
        *,
        generator: np.random.Generator,
        guides: Guides | None,
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with its box as mask, one box a batch."""
        height, width = first.shape[-2:]
        top, bottom = _span(height, lam, generator)
        left, right = _span(width, lam, generator)
        mask = first.new_ones(1, 1, height, width)
        mask[..., top:bottom, left:right] = 0
        images = first.clone()
        images[..., top:bottom, left:right] = second[..., top:bottom, left:right]
        area = (bottom - top) * (right - left)
        return Mixed(images, 1 - area / (height * width), mask.expand(len(first), -1, -1, -1))


def _span(size: int, lam: float, generator: np.random.Generator) -> tuple[int, int]:
    """Side of the box: int(size * sqrt(1 - lam)) long around a uniform centre, clipped to the image."""
    half = int(size * math.sqrt(1 - lam)) // 2
    centre = int(generator.integers(size))
    return max(0, centre - half), min(size, centre + half)
