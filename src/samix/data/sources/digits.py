"""The 1,797 handwritten digits that come with scikit-learn: 8x8 grey, without a split and without files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from samix.config.data import Interpolation
from samix.data.readers import ArrayReader
from samix.data.sources.base import Listing, Source, match_rows, rows_of
from samix.data.subset import stratified_split


class Digits(Source):
    """Ten classes of digits; flips are off, because a mirrored digit is not a digit."""

    published = {"total": 1797}
    flip = False
    name = "digits"

    def __init__(self, root: Path | None = None, download: bool = False) -> None:
        bunch = load_digits()
        self.labels = bunch.target.astype(np.int64)
        # Stored as 0..16: 255 is full ink.
        self.pixels = np.round(bunch.images * (255 / 16)).astype(np.uint8)

    def listing(self, test_fraction: float, seed: int) -> Listing:
        """See `Source`."""
        split = stratified_split(self.labels, test_fraction, seed)
        return Listing([str(digit) for digit in range(10)], rows_of(self.labels, split))

    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> ArrayReader:
        """See `Source`."""
        positions = match_rows(rows, self.labels, self.name)
        return ArrayReader(self.pixels, positions, image_size, interpolation)
