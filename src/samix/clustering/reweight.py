"""Loss re-weighting (ODC): small clusters count more a member, so that large ones do not take over."""

from __future__ import annotations

from torch import Tensor

from samix.config.clustering import ReweightNormalise


def class_weights(sizes: Tensor, power: float, normalise: ReweightNormalise) -> Tensor:
    """Weight of each cluster, (C,) float32, proportional to (size + 1e-5) ** -power.

    Args: sizes (C,) >= 0; power >= 0, ODC's is 0.5; normalise, what the weights have: sum 1 or mean 1.
    """
    inverse = (sizes.float() + 1e-5) ** -power
    total = inverse.sum() if normalise == "sum1" else inverse.mean()
    return inverse / total
