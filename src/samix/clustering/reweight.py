"""Loss re-weighting (ODC): members of small clusters have more weight, so that large ones do not dominate."""

from __future__ import annotations

from torch import Tensor

from samix.config.clustering import ReweightNormalise


def class_weights(sizes: Tensor, power: float, normalise: ReweightNormalise) -> Tensor:
    """Weight of each cluster, (C,) float32, proportional to (size + 1e-5) ** -power.

    Args: sizes (C,) >= 0; power >= 0, 0.5 in ODC; normalise: to sum 1 or to mean 1.
    """
    inverse = (sizes.float() + 1e-5) ** -power
    total = inverse.sum() if normalise == "sum1" else inverse.mean()
    return inverse / total
