"""SmoothMix (Lee et al., 2020)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy, blend
from samix.mixup.boxes import mask_outside_product


class SmoothMix(Policy):
    """A soft round spot of `second` in `first`: a Gaussian of peak 1 at a uniform pixel.

    Its sigma is U(0.25, 0.5) times the height. The given lam is not used; that of the result is the mean of
    the mask. as_released: the exchange of the two labels in the published code, which gives the share of
    `second` to `first`.
    """

    cost: ClassVar[Cost] = "S"

    def __init__(self, as_released: bool = False) -> None:
        super().__init__()
        self.as_released = as_released

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) -> Mixed with a mask in [0, 1), one spot a batch."""
        height, width = first.shape[-2:]
        sigma = generator.uniform(0.25, 0.5) * height
        rows, columns = _bell(height, sigma, generator), _bell(width, sigma, generator)
        mask = mask_outside_product(rows, columns, first)
        share = float(rows.mean() * columns.mean())
        return Mixed(blend(first, second, mask), share if self.as_released else 1 - share, mask)


def _bell(size: int, sigma: float, generator: np.random.Generator) -> np.ndarray:
    return np.exp(-((np.arange(size) - generator.integers(size)) ** 2) / (2 * sigma**2))
