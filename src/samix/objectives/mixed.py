"""The losses of a mixed image, the same for every scenario (SAMix, objectives).

weights are those of the parents' targets: (K, N), or (K,) if all samples share them. Of two parents the
first has weight lam.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from samix.objectives.base import Objective


def mixed_loss(objective: Objective, outputs: Tensor, targets: Sequence[Any], weights: Tensor) -> Tensor:
    """Global term, a scalar: sum over parents of weight * point_loss(target), mean over samples."""
    terms = [
        weight * objective.point_loss(outputs, target)
        for target, weight in zip(targets, weights.unbind(0), strict=True)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total.mean()


def local_loss(objective: Objective, outputs: Tensor, first: Any, second: Any, lam: Tensor) -> Tensor:
    """Local term, a scalar: binary cross-entropy of the pair logit with target lam, a scalar or (N,).

    pBCE for classes and BCE for instances are this one function. Pairs whose targets are the same have a
    constant loss and no gradient; the mean leaves them out and is 0 if no other pair is left.
    """
    logit = objective.pair_logit(outputs, first, second)
    target = torch.zeros_like(logit) + lam
    loss = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    kept = objective.distinct(first, second)
    return (loss * kept).sum() / kept.sum().clamp(min=1)


class EtaBalanced(NamedTuple):
    """The sum of the weighted terms, and the local and the global term as they are."""

    loss: Tensor
    local_term: Tensor
    global_term: Tensor


def eta_balanced(
    objective: Objective,
    outputs: Tensor,
    targets: tuple[Any, Any],
    weights: Tensor,
    *,
    eta: float,
    local: float | Tensor = 1.0,
) -> EtaBalanced:
    """local * l_plus + eta * l_minus, the Mixer's classification loss (SAMix, eta-balanced loss).

    Args: targets of the first and of the second parents, and their weights; eta in [0, 1], weight of the
    global term; local, weight of the local one, 1 in the paper. A term whose weight is the number 0 is
    measured and has no gradient.
    """
    local_term = local_loss(objective, outputs, *targets, weights[0])
    global_term = mixed_loss(objective, outputs, targets, weights)
    factors: tuple[tuple[float | Tensor, Tensor], ...] = ((local, local_term), (eta, global_term))
    weighted = [w * term for w, term in factors if isinstance(w, Tensor) or w]
    return EtaBalanced(torch.stack(weighted).sum(), local_term, global_term)
