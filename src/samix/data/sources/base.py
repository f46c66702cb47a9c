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
    source's folder, or None), label (-1 where split is unlabelled) and split (train, test or unlabelled);
    problems: what the source found wrong, one sentence each.
    """

    classes: list[str]
    rows: pd.DataFrame
    problems: list[str] = field(default_factory=list)


class Source(ABC):
    """One data set on disk (or in a library), opened.

    published: images a split must have where the set is a published one; such a set is taken as it is, so
    images that it holds twice are reported and not refused. flip: mirroring keeps the class. downloads:
    `data_preparation.download` brings its files. name: the folder's, or that of the registry.
    """

    published: ClassVar[Mapping[str, int] | None] = None
    flip: ClassVar[bool] = True
    downloads: ClassVar[bool] = False
    name: str

    @abstractmethod
    def listing(self, test_fraction: float, seed: int) -> Listing:
        """All rows. A source without splits of its own is split by fraction and seed."""

    @abstractmethod
    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> Reader:
        """Pixels of `rows` (of one split, in their order). Raises DataError where a row does not fit."""

    @classmethod
    def existing_root(cls, root: Path | None) -> Path:
        """The source's folder. Raises DataError, which says what to set, if it is missing."""
        if root is None:
            raise DataError(
                f"source {cls.name!r} needs a folder: set SAMIX_DATA_ROOT or data_preparation.root"
            )
        if not root.is_dir():
            raise DataError(cls.missing(root))
        return root

    @classmethod
    def missing(cls, root: Path, what: str = "it") -> str:
        """The message for files that are missing; `what` is the name of the set's folder."""
        advice = f"set SAMIX_DATA_ROOT to the folder that holds {what}"
        if cls.downloads:
            advice += " or data_preparation.download=true"
        return f"source {cls.name!r}: no usable data in {root}: {advice}"


def rows_of(labels: np.ndarray, split: str | np.ndarray) -> pd.DataFrame:
    """Rows of an array source: one a label, numbered from 0, without paths."""
    return pd.DataFrame({"index": np.arange(len(labels)), "path": None, "label": labels, "split": split})


def match_rows(rows: pd.DataFrame, labels: np.ndarray, source: str) -> np.ndarray:
    """Positions (n,) of `rows` in a source with `labels` (N,). Raises DataError where they disagree."""
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
    """Files of `rows`, in their order. Raises DataError, naming the first, where some are gone."""
    paths = [root / path for path in rows["path"]]
    vanished = [path for path in paths if not path.is_file()]
    if vanished:
        raise DataError(
            f"images of the manifest that are gone: {len(vanished)}, the first is {vanished[0]}; "
            "restore them or run data_preparation again"
        )
    return paths
