"""StackMix (Chen et al., 2021)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy

Side = Literal["right", "below"]


def stack(first: Tensor, second: Tensor, side: Side = "right") -> Tensor:
    """`second` to the right of `first` or below it: (N, 3, H, 2 W) or (N, 3, 2 H, W).

    A network trained by StackMix is tested on stack(images, images).
    """
    return torch.cat([first, second], dim=-1 if side == "right" else -2)


class StackMix(Policy):
    """Both images side by side, each with half of the label; the given lam is not used.

    The result is twice as wide, or as high with side "below", so the network has to take both sizes.
    """

    cost: ClassVar[Cost] = "S"
    resizes = True

    def __init__(self, side: Side = "right") -> None:
        super().__init__()
        self.side: Side = side

    def unmixed(self, images: Tensor) -> Tensor:
        """Each image beside itself, as tests see it."""
        return stack(images, images, self.side)

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) -> Mixed of (N, 3, H, 2 W) or (N, 3, 2 H, W), mask alike. Draws nothing."""
        one = first.new_ones(1, 1, *first.shape[-2:], dtype=torch.float32)
        mask = stack(one, torch.zeros_like(one), self.side).expand(len(first), -1, -1, -1)
        return Mixed(stack(first, second, self.side), 0.5, mask)
