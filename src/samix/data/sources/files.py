"""Published sets in image files, with their lists of images, splits and classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import pandas as pd

from samix.config.data import Interpolation
from samix.core.errors import DataError
from samix.data.readers import FileReader
from samix.data.sources.base import Listing, Source, existing_files


class Item(NamedTuple):
    """One image: path below the set's folder, label, split (train or test)."""

    path: str
    label: int
    split: str


class PublishedFiles(Source):
    """Base of these sets. archive: name of the set's folder, in root or root itself; marker: a file in it."""

    archive: ClassVar[str]
    marker: ClassVar[str]

    def __init__(self, root: Path | None, download: bool = False) -> None:
        folder = self.existing_root(root)
        found = [place for place in (folder / self.archive, folder) if (place / self.marker).is_file()]
        if not found:
            raise DataError(self.missing(folder, self.archive))
        self.root = found[0]

    @abstractmethod
    def classes(self) -> list[str]:
        """Names in label order."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """All images, in the order of the published lists."""

    def listing(self, test_fraction: float, seed: int) -> Listing:
        """See `Source`; the set's own split is kept. Raises DataError for lists that are not as published."""
        try:
            classes, rows = self.classes(), pd.DataFrame(self.items(), columns=Item._fields)
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"source {self.name!r}: the lists in {self.root} are not as published "
                f"({type(error).__name__}: {error})"
            ) from error
        rows.insert(0, "index", rows.groupby("split").cumcount())
        return Listing(classes, rows)

    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> FileReader:
        """See `Source`."""
        return FileReader(existing_files(rows, self.root), image_size, interpolation)

    def table(self, name: str) -> list[list[str]]:
        """Lines of a list, split at their first white space or tabulator."""
        text = (self.root / name).read_text(encoding="utf-8")
        return [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
