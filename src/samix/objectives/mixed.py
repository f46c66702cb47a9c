"""The losses of a mixed image, the same for every scenario (SAMix, objectives).

`lam` in [0, 1] is always the share of the first parent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from samix.objectives.base import Objective


def mixed_loss(objective: Objective, outputs: Tensor, first: Any, second: Any, lam: float) -> Tensor:
    """Global term, a scalar: lam * point_loss(first) + (1 - lam) * point_loss(second), mean over samples."""
    loss = lam * objective.point_loss(outputs, first) + (1 - lam) * objective.point_loss(outputs, second)
    return loss.mean()


def local_loss(objective: Objective, outputs: Tensor, first: Any, second: Any, lam: float) -> Tensor:
    """Local term, a scalar: binary cross-entropy of the pair logit with target lam.

    pBCE for classes and BCE for instances are this one function. Pairs whose targets are the same have a
    constant loss and no gradient; the mean leaves them out and is 0 where no other pair is left.
    """
    logit = objective.pair_logit(outputs, first, second)
    loss = F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, lam), reduction="none")
    kept = objective.distinct(first, second)
    return (loss * kept).sum() / kept.sum().clamp(min=1)


class EtaBalanced(NamedTuple):
    """local + eta * global, and its two terms."""

    loss: Tensor
    local_term: Tensor
    global_term: Tensor


def eta_balanced(
    objective: Objective, outputs: Tensor, first: Any, second: Any, lam: float, *, eta: float
) -> EtaBalanced:
    """The Mixer's classification loss: l_plus + eta * l_minus (SAMix, eta-balanced loss). eta in [0, 1]."""
    local_term = local_loss(objective, outputs, first, second, lam)
    global_term = mixed_loss(objective, outputs, first, second, lam)
    return EtaBalanced(local_term + eta * global_term, local_term, global_term)
