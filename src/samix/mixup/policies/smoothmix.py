"""SmoothMix (Lee et al., 2020)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.boxes import as_float32, outside
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policies.gridmix import MaskDraws, mixed_by_mask
from samix.mixup.policy import Mixed, PairInfo, Policy


class SmoothMix(Policy):
    """A soft round spot of `second` in `first`: a Gaussian of peak 1 at a uniform pixel.

    Its sigma is U(0.25, 0.5) times the height. The given lam is not used; the weight of `first` is the mean
    of the mask. as_released: exchange the two labels as the published code does: the weight of `first` is the
    share of `second`.
    """

    cost = "static"
    per_sample = True

    def __init__(self, as_released: bool = False) -> None:
        super().__init__()
        self.as_released = as_released

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> MaskDraws:
        """See Policy: one spot per batch, or one per sample with a lam per sample."""
        several = isinstance(lam, np.ndarray)
        spots = [_spot(shape, rng) for _ in range(shape.images if several else 1)]
        rows, columns = (np.stack(profiles) for profiles in zip(*spots, strict=True))
        shares = rows.mean(1) * columns.mean(1)
        shares = shares if self.as_released else 1 - shares
        weights = pair_weights(shares if several else float(shares[0]), shape.images)
        return MaskDraws(outside(as_float32(rows), as_float32(columns)), weights)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: MaskDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the mask is in [0, 1)."""
        return mixed_by_mask(images, others, pairing, draws)


def _spot(shape: BatchShape, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Profiles over rows (H,) and columns (W,), whose product is the spot."""
    sigma = rng.uniform(0.25, 0.5) * shape.height
    return _bell(shape.height, sigma, rng), _bell(shape.width, sigma, rng)


def _bell(size: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return np.exp(-((np.arange(size) - rng.integers(size)) ** 2) / (2 * sigma**2))
