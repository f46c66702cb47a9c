"""CutMix (Yun et al., 2019)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy, Ratio, blend
from samix.mixup.boxes import draw_box, draw_boxes


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
        images = first.clone()
        images[box.at] = second[box.at]
        return Mixed(images, box.share_outside(first), box.mask_outside(first))
