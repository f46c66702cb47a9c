"""Sigmoid losses of mixed classes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def sigmoid_negweight(
    logits: Tensor, first: Tensor, second: Tensor, weights: Tensor, *, eta: float
) -> Tensor:
    """mean_n sum_c w_c BCEwithLogits(o_c, y_c), y the mixed label and w_c = eta off the two mixed classes.

    This is what `neg_weight` of the released code means to do; with its softmax cross-entropy the weight has
    no effect at all (SAMix, generator objective).

    Args: logits (N, C); first, second (N,) classes of the parents; weights (2,) of these; eta in [0, 1].
    """
    classes = logits.shape[1]
    one, two = F.one_hot(first, classes), F.one_hot(second, classes)
    target = weights[0] * one + weights[1] * two
    weight = eta + (1 - eta) * (one + two).clamp(max=1)
    loss = F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
    return (weight * loss).sum(1).mean()
