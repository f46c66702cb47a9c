"""Interface of a data source: a listing of its rows and a reader of their pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from samix.config.data import Interpolation
from samix.core.errors import DataError
from samix.data.readers import Reader


@dataclass(frozen=True)
class Listing:
    """Rows of a source before any image is read.

    classes: names in label order; rows: columns index (row in the source's own split), path (str below the
    source's folder, or None), label (-1 if split is unlabelled) and split (train, test or unlabelled);
    problems found by the source, one sentence each.
    """

    classes: list[str]
    rows: pd.DataFrame
    problems: list[str] = field(default_factory=list)


class Source(ABC):
    """One data set on disk (or in a library), opened.

    published: number of images that each split of a published set must have; None for other sets. Duplicate
    images of a published set are reported and not refused. flip: whether mirroring keeps the class.
    downloads: whether `data_preparation.download` fetches the files. name: the name in the registry, or of
    the folder.
    """

    published: ClassVar[Mapping[str, int] | None] = None
    flip: ClassVar[bool] = True
    downloads: ClassVar[bool] = False
    name: str

    @abstractmethod
    def listing(self, test_fraction: float, seed: int) -> Listing:
        """All rows. A source without its own splits is split by fraction and seed."""

    @abstractmethod
    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> Reader:
        """Pixels of `rows` (of one split, in their order). Raises DataError if a row does not fit."""

    @classmethod
    def existing_root(cls, root: Path | None) -> Path:
        """The source's folder. Raises DataError, naming the parameter to set, if it is missing."""
        if root is None:
            raise DataError(
                f"source {cls.name!r} needs a folder: set SAMIX_DATA_ROOT or data_preparation.root"
            )
        if not root.is_dir():
            raise DataError(cls.missing(root))
        return root

    @classmethod
    def missing(cls, root: Path, what: str = "it") -> str:
        """The error message for missing files; `what` is the name of the set's folder."""
        advice = f"set SAMIX_DATA_ROOT to the folder that holds {what}"
        if cls.downloads:
            advice += " or data_preparation.download=true"
        return f"source {cls.name!r}: no usable data in {root}: {advice}"


def rows_of(labels: np.ndarray, split: str | np.ndarray) -> pd.DataFrame:
    """Rows of an array source: one per label, numbered from 0, without paths."""
    return pd.DataFrame({"index": np.arange(len(labels)), "path": None, "label": labels, "split": split})


def match_rows(rows: pd.DataFrame, labels: np.ndarray, source: str) -> np.ndarray:
    """Positions (n,) of `rows` in a source with `labels` (N,). Raises DataError if they do not match."""
    index = rows["index"].to_numpy()
    outside = (index < 0) | (index >= len(labels))
    wrong = int(outside.sum()) or int((labels[index] != rows["label"].to_numpy()).sum())
    if wrong:
        raise DataError(
            f"rows of the manifest that do not fit source {source!r} (images: {len(labels)}): {wrong}; "
            "its files changed, run data_preparation again"
        )
    return index


def existing_files(rows: pd.DataFrame, root: Path) -> list[Path]:
    """Files of `rows`, in their order. Raises DataError, naming the first, if files are missing."""
    paths = [root / path for path in rows["path"]]
    vanished = [path for path in paths if not path.is_file()]
    if vanished:
        raise DataError(
            f"images of the manifest that are gone: {len(vanished)}, the first is {vanished[0]}; "
            "restore them or run data_preparation again"
        )
    return paths
