"""Instances: infoNCE against a queue of negatives (MoCo)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class InstanceTargets(NamedTuple):
    """Keys (N, d) of length 1, without gradient, and the identity (N,) of the image of each key.

    labels (N,): classes or pseudo labels, for objectives that filter negatives by them.
    """

    keys: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which targets have no use for
    labels: Tensor | None = None


@dataclass(frozen=True)
class InstanceObjective:
    """infoNCE with one positive and the queue as negatives; outputs are projections of length 1.

    negatives (K, d); temperature > 0; negative_labels (K,): a negative whose label is the target's is left
    out of its softmax, as a false negative (infoNCE(PL), infoNCE(L)); -1: unknown, never left out.
    """

    negatives: Tensor
    temperature: float
    negative_labels: Tensor | None = None

    def point_loss(self, outputs: Tensor, targets: InstanceTargets) -> Tensor:
        """-log exp(z.k/t) / (exp(z.k/t) + sum_n exp(z.n/t)): (N, d) -> (N,).

        Each call has its own softmax: the other parent of a mixed image is neither positive nor negative.
        """
        return self.loss_of(self.logits(outputs, targets))

    def loss_of(self, logits: Tensor) -> Tensor:
        """Cross-entropy (N,) of `logits`, the first of which is the positive's."""
        positive = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return F.cross_entropy(logits, positive, reduction="none")

    def logits(self, outputs: Tensor, targets: InstanceTargets) -> Tensor:
        """(N, 1 + K): the positive, then the queue, over temperature."""
        # fp32 island: with .float() alone autocast would still multiply by the queue in half precision
        with torch.autocast(outputs.device.type, enabled=False):
            outputs = outputs.float()
            positive = (outputs * targets.keys).sum(1, keepdim=True)
            negative = outputs @ self.negatives.T
            if self.negative_labels is not None and targets.labels is not None:
                same = (targets.labels[:, None] == self.negative_labels) & (self.negative_labels >= 0)
                negative = negative.masked_fill(same, -torch.inf)
            return torch.cat([positive, negative], 1) / self.temperature

    def pair_logit(self, outputs: Tensor, first: InstanceTargets, second: InstanceTargets) -> Tensor:
        """(z.k_i - z.k_j) / t, the logit of the non-parametric binary cross-entropy (SAMix, BCE)."""
        return (outputs.float() * (first.keys - second.keys)).sum(1) / self.temperature

    def distinct(self, first: InstanceTargets, second: InstanceTargets) -> Tensor:
        """Whether the targets are of two different images, bool (N,)."""
        return first.index != second.index
