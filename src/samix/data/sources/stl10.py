"""STL-10 (Coates et al. 2011): 5,000 + 8,000 photographs of 96x96 in ten classes, 100,000 without a label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from samix.config.data import Interpolation
from samix.core.errors import DataError
from samix.data.readers import ArrayReader
from samix.data.sources.base import Listing, Source, match_rows, rows_of
from samix.data.sources.published import UNUSABLE

CLASSES = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
_FILES = {"train": "train", "test": "test", "unlabelled": "unlabeled"}


class Stl10(Source):
    """The binary files, mapped into memory: the unlabelled part alone is 2.8 GB.

    Their md5 is checked when the set is listed and not, which takes seconds, whenever it is opened.
    """

    published = {"train": 5_000, "test": 8_000, "unlabelled": 100_000}
    downloads = True
    name = "stl10"

    def __init__(self, root: Path | None, download: bool = False) -> None:
        if download and root is not None:
            root.mkdir(parents=True, exist_ok=True)
        self.root = self.existing_root(root)
        self.download = download

    def listing(self, test_fraction: float, seed: int) -> Listing:
        """See `Source`; the set's own splits are kept. Raises DataError for absent or damaged files."""
        from torchvision.datasets import STL10

        try:
            STL10(str(self.root), split="test", download=self.download)
        except UNUSABLE as error:
            raise DataError(f"{self.missing(self.root)} ({error})") from error
        rows = [rows_of(self._open(split)[1], split) for split in _FILES]
        return Listing(CLASSES, pd.concat(rows, ignore_index=True))

    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> ArrayReader:
        """See `Source`."""
        split = rows["split"].iloc[0]
        pixels, labels = self._open(split)
        positions = match_rows(rows, labels, f"{self.name}, {split}")
        return ArrayReader(pixels, positions, image_size, interpolation)

    def _open(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 96, 96, 3), not read yet, and labels (N,), -1 where there are none."""
        folder = self.root / "stl10_binary"
        try:
            file = np.memmap(folder / f"{_FILES[split]}_X.bin", np.uint8, "r")
            pixels = file.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)  # stored column by column
            if split == "unlabelled":
                return pixels, np.full(len(pixels), -1)
            return pixels, np.fromfile(folder / f"{_FILES[split]}_y.bin", np.uint8).astype(np.int64) - 1
        except UNUSABLE as error:
            raise DataError(f"{self.missing(self.root)} ({error})") from error
