"""Mixup (Zhang et al., 2018)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy


class Mixup(Policy):
    """lam * first + (1 - lam) * second."""

    cost: ClassVar[Cost] = "S"

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed without a mask. Draws nothing."""
        return Mixed(second.lerp(first, lam), lam)
