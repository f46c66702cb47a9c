"""Mixup (Zhang et al., 2018)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, as_weight, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents


class WeightDraws(NamedTuple):
    """Weights (2, N) of the first and of the second parents."""

    weights: Tensor


class Mixup(Policy):
    """lam * first + (1 - lam) * second."""

    cost = "static"
    per_sample = True

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> WeightDraws:  # noqa: ARG002
        """See Policy; draws nothing."""
        return WeightDraws(pair_weights(lam, shape.images))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: WeightDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; mixes in place into the selected partners, which saves the memory of one batch."""
        mixed = pairing.select(others).lerp_(images, as_weight(draws.weights[0], images))
        return two_parents(mixed, pairing, draws.weights)


def linear(first: Tensor, second: Tensor, weights: Tensor) -> Tensor:
    """w * first + (1 - w) * second of images or features (N, ...), w the first row of weights (2, N)."""
    own, other = (as_weight(weight, first) for weight in weights)
    mixed: Tensor = _Linear.apply(first, second, own, other)
    return mixed


class _Linear(torch.autograd.Function):
    """lerp whose gradient for `second` has the given weight; its own would have 1 - the rounded weight."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, own: Tensor, other: Tensor) -> Tensor:
        ctx.save_for_backward(own, other)
        return second.lerp(first, own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        own, other = ctx.saved_tensors
        return gradient * own, gradient * other, None, None
