"""The losses of a mixed image, the same for every scenario (SAMix, objectives).

`lam` in [0, 1] is always the share of the first parent: a number, or (N,), one a sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from samix.objectives.base import Objective

Share = float | Tensor


def mixed_loss(
    objective: Objective, outputs: Tensor, first: Any, second: Any, lam: Share, rest: Share | None = None
) -> Tensor:
    """Global term, a scalar: lam * point_loss(first) + rest * point_loss(second), mean over samples.

    rest: weight of the second parent, 1 - lam where it is None.
    """
    rest = 1 - lam if rest is None else rest
    loss = lam * objective.point_loss(outputs, first) + rest * objective.point_loss(outputs, second)
    return loss.mean()


def local_loss(objective: Objective, outputs: Tensor, first: Any, second: Any, lam: Share) -> Tensor:
    """Local term, a scalar: binary cross-entropy of the pair logit with target lam.

    pBCE for classes and BCE for instances are this one function. Pairs whose targets are the same have a
    constant loss and no gradient; the mean leaves them out and is 0 where no other pair is left.
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
    lam: Share,
    *,
    eta: float,
    local: float = 1.0,
) -> EtaBalanced:
    """local * l_plus + eta * l_minus, the Mixer's classification loss (SAMix, eta-balanced loss).

    Args: targets of the first and of the second parents; eta in [0, 1], weight of the global term; local,
    weight of the local one, 1 in the paper. A term of weight 0 is measured and gives no gradient.
    """
    local_term = local_loss(objective, outputs, *targets, lam)
    global_term = mixed_loss(objective, outputs, *targets, lam)
    weighted = [w * term for w, term in ((local, local_term), (eta, global_term)) if w]
    return EtaBalanced(torch.stack(weighted).sum(), local_term, global_term)
