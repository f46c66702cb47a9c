"""Toy source: noise around a brightness per class, made in memory (made for a test)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from samix.config.data import Interpolation
from samix.data.readers import ArrayReader
from samix.data.sources.base import Listing, Source, match_rows, rows_of
from samix.data.subset import stratified_split


class Toy(Source):
    """120 grey images of 8 x 8 pixels in three classes."""

    name = "toy"

    def __init__(self, root: Path | None = None, download: bool = False) -> None:
        self.labels = np.arange(120) % 3
        noise = np.random.default_rng(0).integers(50, size=(120, 8, 8))
        self.pixels = (noise + 100 * self.labels[:, None, None]).astype(np.uint8)

    def listing(self, test_fraction: float, seed: int) -> Listing:
        """See `Source`."""
        split = stratified_split(self.labels, test_fraction, seed)
        return Listing(["dark", "grey", "light"], rows_of(self.labels, split))

    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> ArrayReader:
        """See `Source`."""
        return ArrayReader(self.pixels, match_rows(rows, self.labels, self.name), image_size, interpolation)
