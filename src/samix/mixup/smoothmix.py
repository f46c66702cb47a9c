"""SmoothMix (Lee et al., 2020)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy, Ratio, blend
from samix.mixup.boxes import mask_outside_product, weights


class SmoothMix(Policy):
    """A soft round spot of `second` in `first`: a Gaussian of peak 1 at a uniform pixel.

    Its sigma is U(0.25, 0.5) times the height. The given lam is not used; that of the result is the mean of
    the mask. as_released: the exchange of the two labels in the published code, which gives the share of
    `second` to `first`.
    """

    cost: ClassVar[Cost] = "S"
    per_sample = True

    def __init__(self, as_released: bool = False) -> None:
        super().__init__()
        self.as_released = as_released

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) -> Mixed with a mask in [0, 1), one spot a batch, or one a lam."""
        several = isinstance(lam, np.ndarray)
        spots = [_spot(first, generator) for _ in range(len(first) if several else 1)]
        rows, columns = (np.stack(profiles) for profiles in zip(*spots, strict=True))
        mask = mask_outside_product(rows, columns, first)
        shares = rows.mean(1) * columns.mean(1)
        shares = shares if self.as_released else 1 - shares
        return Mixed(
            blend(first, second, mask), weights(shares if several else float(shares[0]), first), mask
        )


def _spot(images: Tensor, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows (H,) and columns (W,) of which the spot is the product."""
    height, width = images.shape[-2:]
    sigma = generator.uniform(0.25, 0.5) * height
    return _bell(height, sigma, generator), _bell(width, sigma, generator)


def _bell(size: int, sigma: float, generator: np.random.Generator) -> np.ndarray:
    return np.exp(-((np.arange(size) - generator.integers(size)) ** 2) / (2 * sigma**2))
