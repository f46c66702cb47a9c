"""Mixup (Zhang et al., 2018)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy, Ratio
from samix.mixup.boxes import weights
from samix.mixup.pairing import Pairing


class Mixup(Policy):
    """lam * first + (1 - lam) * second."""

    cost: ClassVar[Cost] = "S"
    per_sample = True

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed without a mask. Draws nothing."""
        share = weights(lam, first)
        return Mixed(linear(first, second, share), share)

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
        """See Policy; mixes into the gathered partners, which saves the memory of another batch."""
        share = weights(lam, images)
        return Mixed(pairing.of(others).lerp_(images, as_weight(share, images)), share)


def linear(first: Tensor, second: Tensor, lam: float | Tensor) -> Tensor:
    """lam * first + (1 - lam) * second; images or features (N, ...), lam a number or (N,)."""
    return second.lerp(first, as_weight(lam, first))


def as_weight(lam: float | Tensor, like: Tensor) -> float | Tensor:
    """lam as lerp wants it: a number as it is, (N,) as (N, 1, ...) of the type and dimensions of `like`."""
    return lam.to(like.dtype).view(-1, *[1] * (like.dim() - 1)) if isinstance(lam, Tensor) else lam
