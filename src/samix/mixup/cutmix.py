"""CutMix (Yun et al., 2019)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy
from samix.mixup.boxes import draw_box


class CutMix(Policy):
    """A box of `second` pasted into `first`; lam becomes the true share of `first`."""

    cost: ClassVar[Cost] = "S"

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with its box as mask, one box a batch."""
        box = draw_box(first, math.sqrt(1 - lam), generator)
        images = first.clone()
        images[box.at] = second[box.at]
        return Mixed(images, box.share_outside(first), box.mask_outside(first))
