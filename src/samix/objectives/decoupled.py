"""Losses of a mixed image that depend on both of its classes at once: Decoupled Mixup and binary forms.

A criterion is called with logits (N, C), the classes (N,) of each of the K parents and their weights (K, N).
It returns a scalar, a mean over samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from samix.objectives.base import Objective
from samix.objectives.classes import ClassObjective
from samix.objectives.mixed import mixed_loss

Selection = Literal["both", "less", "more"]
Reduction = Literal["sum_classes", "mean"]


class MixedCriterion(Protocol):
    """A loss of the outputs for mixed images."""

    def __call__(self, outputs: Tensor, targets: Sequence[Any], weights: Tensor) -> Tensor:
        """The loss, a scalar."""


@dataclass(frozen=True)
class MixedCE:
    """Sum over parents of weight * point_loss: with classes the mixed cross-entropy."""

    objective: Objective

    def __call__(self, outputs: Tensor, targets: Sequence[Any], weights: Tensor) -> Tensor:
        """See `MixedCriterion`."""
        return mixed_loss(self.objective, outputs, targets, weights)


@dataclass(frozen=True)
class DecoupledCE:
    """DM(CE): the mixed cross-entropy and, for each parent, a softmax that its partner takes no part in.

    L = mixCE + sum of w_a (-log phi_a) over both parents, phi_a = exp(o_a) / sum_{c != b} exp(o_c) and
    w_a = eta * share_a ** power (Liu et al., 2023). selection: "both"; "less" or "more", the parent with the
    smaller or larger share alone, both where the shares are equal. Pairs of one class, and those of which one
    image has no share, have the mixed cross-entropy alone; the mean is over all pairs. smoothing is that of
    the mixed cross-entropy.

    as_released: the exchange of weights in the published code. The first pair of two classes in the batch
    decides for all: the weights of the parents change places where its first class has the higher number;
    and pairs of equal shares are left out.
    """

    smoothing: float = 0.0
    eta: float = 0.1
    selection: Selection = "both"
    power: float = 0.0
    as_released: bool = False

    def __call__(self, outputs: Tensor, targets: Sequence[Tensor], weights: Tensor) -> Tensor:
        """See `MixedCriterion`. Raises: ValueError for more than two parents."""
        outputs = outputs.float()
        whole = mixed_loss(ClassObjective(smoothing=self.smoothing), outputs, targets, weights)
        first, second, own, other = _pair(targets, weights)
        counts = (first != second) & (own > 0) & (other > 0)
        if self.as_released:
            counts = counts & (own != other)
            own, other = _exchanged(own, other, first, second, counts)
        term = self._weight(own, other) * _without(outputs, first, second)
        term = term + self._weight(other, own) * _without(outputs, second, first)
        return whole + self.eta * torch.where(counts, term, 0.0).mean()

    def _weight(self, own: Tensor, other: Tensor) -> Tensor:
        weight = own**self.power
        if self.selection == "both":
            return weight
        return weight * (own <= other if self.selection == "less" else own >= other)


@dataclass(frozen=True)
class MixedBCE:
    """Sigmoid cross-entropy of every class, the target of a parent's class being h(its share).

    h(l) = (l / xi) ** tau below xi and 1 from there on. xi = tau = 1 is the plain mixed BCE; less xi or tau
    is DM(BCE), which holds mixed images to more than their shares (Liu et al., 2023). two_hot: 1 for every
    class that has a share. Targets of one class add up, to 1 at the most. smoothing e: (1 - e) t + e / C.
    reduction: over classes, the sum, or the mean as in RSB; over samples always the mean.
    """

    smoothing: float = 0.0
    xi: float = 1.0
    tau: float = 1.0
    two_hot: bool = False
    reduction: Reduction = "sum_classes"

    def __call__(self, outputs: Tensor, targets: Sequence[Tensor], weights: Tensor) -> Tensor:
        """See `MixedCriterion`. Raises: ValueError for more than two parents."""
        outputs = outputs.float()
        first, second, *shares = _pair(targets, weights)
        own, other = (self._raised(share)[:, None] for share in shares)
        target = torch.zeros_like(outputs).scatter_add_(1, first[:, None], own)
        target = target.scatter_add_(1, second[:, None], other).clamp(max=1)
        target = (1 - self.smoothing) * target + self.smoothing / outputs.shape[1]
        loss = F.binary_cross_entropy_with_logits(outputs, target, reduction="none")
        return loss.sum(1).mean() if self.reduction == "sum_classes" else loss.mean()

    def _raised(self, share: Tensor) -> Tensor:
        if self.two_hot:
            return (share > 0).to(share.dtype)
        return (share / self.xi).clamp(max=1) ** self.tau


def _pair(targets: Sequence[Tensor], weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Classes of the first and of the second parents, then the weights (N,) of either."""
    if len(targets) != 2:
        raise ValueError(
            f"this loss is for two classes per image, and these images have {len(targets)} parents: use the "
            "mixed cross-entropy (supervised.mixed_loss.name: ce)."
        )
    first, second = targets
    return first, second, weights[0], weights[1]


def _without(outputs: Tensor, label: Tensor, partner: Tensor) -> Tensor:
    """-log of the label's softmax over all classes but the partner's: logits (N, C) -> (N,)."""
    others = outputs.scatter(1, partner[:, None], -torch.inf)
    return others.logsumexp(1) - outputs.gather(1, label[:, None]).squeeze(1)


def _exchanged(
    own: Tensor, other: Tensor, first: Tensor, second: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Shares (N,), each given to the other parent where the first pair that counts has falling classes."""
    leader = counts.int().argmax().view(1)
    turned = first.index_select(0, leader) > second.index_select(0, leader)
    return torch.where(turned, other, own), torch.where(turned, own, other)
