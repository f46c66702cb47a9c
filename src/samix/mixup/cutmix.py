"""CutMix (Yun et al., 2019)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy, Ratio, blend
from samix.mixup.boxes import Box, draw_box, draw_boxes
from samix.mixup.pairing import Pairing


class CutMix(Policy):
    """A box of `second` pasted into `first`; lam becomes the true share of `first`."""

    cost: ClassVar[Cost] = "S"
    per_sample = True

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with its boxes as mask, one a batch or one a lam."""
        if isinstance(lam, np.ndarray):
            boxes = draw_boxes(first, np.sqrt(1 - lam), generator)
            mask = boxes.mask_outside(first)
            return Mixed(blend(first, second, mask), boxes.share_outside(first), mask)
        box = draw_box(first, math.sqrt(1 - lam), generator)
        return _pasted(first, second[box.at], box)

    def pairs(
        self,
        images: Tensor,
        others: Tensor,
        pairing: Pairing,
        lam: Ratio,
        *,
        generator: np.random.Generator,
        guides: Guides,
    ) -> Mixed:
        """See Policy; of the partners only what is in the box is gathered."""
        if isinstance(lam, np.ndarray):
            return super().pairs(images, others, pairing, lam, generator=generator, guides=guides)
        box = draw_box(images, math.sqrt(1 - lam), generator)
        return _pasted(images, pairing.of(others[box.at]), box)


def _pasted(images: Tensor, inside: Tensor, box: Box) -> Mixed:
    """`inside` (N, 3, h, w) pasted into the box of a copy of the images."""
    mixed = images.clone()
    mixed[box.at] = inside
    return Mixed(mixed, box.share_outside(images), box.mask_outside(images))
