"""Sets that torchvision reads: two splits in arrays, whole or refused."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from samix.config.data import Interpolation
from samix.core.errors import DataError
from samix.data.readers import ArrayReader
from samix.data.sources.base import Listing, Source, match_rows, rows_of

# What torchvision lets through: absent or damaged by md5, truncated, wrong header, no network.
UNUSABLE = (RuntimeError, OSError, ValueError, AssertionError, EOFError)


class PublishedArrays(Source):
    """Base of the sets of torchvision with attributes data (N, H, W[, 3]), targets (N,) and classes."""

    downloads = True

    def __init__(self, root: Path | None, download: bool = False) -> None:
        if download and root is not None:
            root.mkdir(parents=True, exist_ok=True)
        folder = self.existing_root(root)
        self.splits = {split: self._load(folder, split == "train", download) for split in ("train", "test")}

    @abstractmethod
    def open(self, root: Path, train: bool, download: bool) -> Any:
        """The torchvision data set of one split."""

    def _load(self, root: Path, train: bool, download: bool) -> Any:
        try:
            return self.open(root, train, download)
        except UNUSABLE as error:
            raise DataError(f"{self.missing(root)} ({error})") from error

    def listing(self, test_fraction: float, seed: int) -> Listing:
        """See `Source`; the set's own split is kept."""
        rows = [rows_of(np.asarray(data.targets), split) for split, data in self.splits.items()]
        return Listing(list(self.splits["train"].classes), pd.concat(rows, ignore_index=True))

    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> ArrayReader:
        """See `Source`."""
        split = rows["split"].iloc[0]
        data = self.splits[split]
        positions = match_rows(rows, np.asarray(data.targets), f"{self.name}, {split}")
        return ArrayReader(np.asarray(data.data), positions, image_size, interpolation)
