"""StackMix (Chen et al., 2021)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policies.mixup import WeightDraws
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents

Side = Literal["right", "below"]


def stack(first: Tensor, second: Tensor, side: Side = "right") -> Tensor:
    """`second` to the right of `first` or below it: (N, 3, H, 2 W) or (N, 3, 2 H, W).

    A network trained by StackMix is tested on stack(images, images).
    """
    return torch.cat([first, second], dim=-1 if side == "right" else -2)


class StackMix(Policy):
    """Both images side by side, each with weight 1/2; the given lam is not used.

    The result is twice as wide, or twice as high with side "below", so the network must accept both sizes.
    """

    cost = "static"
    resizes = True

    def __init__(self, side: Side = "right") -> None:
        super().__init__()
        self.side: Side = side

    def unmixed(self, images: Tensor) -> Tensor:
        """Each image stacked with itself, as in evaluation."""
        return stack(images, images, self.side)

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> WeightDraws:  # noqa: ARG002
        """See Policy; draws nothing."""
        return WeightDraws(pair_weights(0.5, shape.images))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: WeightDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; images and mask are (N, ..., H, 2 W) or (N, ..., 2 H, W)."""
        one = images.new_ones(1, 1, *images.shape[-2:], dtype=torch.float32)
        mask = stack(one, torch.zeros_like(one), self.side).expand(len(images), -1, -1, -1)
        mixed = stack(images, pairing.select(others), self.side)
        return two_parents(mixed, pairing, draws.weights, mask)
