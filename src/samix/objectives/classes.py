"""Classes and clusters: cross-entropy on logits."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class ClassObjective:
    """Cross-entropy over C classes, for labels and pseudo labels alike.

    weights (C,): factor of each class in `point_loss` (ODC's re-weighting); the mean over samples divides by
    N, not by the sum of weights; None: all 1. The pair logit stays unweighted.
    smoothing e in [0, 1): the target is (1 - e) y + e / C.
    """

    weights: Tensor | None = None
    smoothing: float = 0.0

    def point_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """-w[y] log softmax(o)[y]: logits (N, C) and labels (N,) -> (N,)."""
        return F.cross_entropy(
            outputs.float(), targets, self.weights, reduction="none", label_smoothing=self.smoothing
        )

    def pair_logit(self, outputs: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """o[a] - o[b], the logit of the parametric binary cross-entropy (SAMix, pBCE)."""
        outputs = outputs.float()
        pair = outputs.gather(1, first[:, None]) - outputs.gather(1, second[:, None])
        return pair.squeeze(1)

    def distinct(self, first: Tensor, second: Tensor) -> Tensor:
        """Whether the targets are two different classes, bool (N,)."""
        return first != second
