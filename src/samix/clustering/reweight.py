"""Loss re-weighting (ODC): small clusters count more a member, so that large ones do not take over."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from samix.config.clustering import ReweightNormalise


def class_weights(sizes: Tensor, power: float, normalise: ReweightNormalise) -> Tensor:
    """Weight of each cluster, (C,) float32, proportional to (size + 1e-5) ** -power.

    Args: sizes (C,) >= 0; power >= 0, ODC's is 0.5; normalise, what the weights have: sum 1 or mean 1.
    """
    inverse = (sizes.float() + 1e-5) ** -power
    total = inverse.sum() if normalise == "sum1" else inverse.mean()
    return inverse / total


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """(1/N) * sum over samples of weights[label] * cross entropy.

    Divided by N, not by the sum of the weights as torch's mean reduction does: that would take the effect
    of the weights away from batches of one cluster.

    Args: logits (N, C); labels (N,) in [0, C); weights (C,).   Returns: scalar.
    """
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    return torch.mean(weights[labels] * losses)
