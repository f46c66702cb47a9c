"""A tree of image files: root/train/CLASS/* with root/test or root/val, or root/CLASS/* to be split.

ImageNet, iNaturalist and Places205 are used in this layout.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from samix.config.data import Interpolation
from samix.core.errors import DataError
from samix.data.readers import FileReader
from samix.data.sources.base import Listing, Source, existing_files
from samix.data.subset import stratified_split

SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}


class Folder(Source):
    """Class names are folder names, labels their alphabetical order; other and hidden files are skipped.

    Images may lie deeper in the class's folder, as in CLASS/images/*.
    """

    name = "folder"

    def __init__(self, root: Path | None, download: bool = False) -> None:
        self.root = self.existing_root(root)
        self.name = self.root.resolve().name

    def listing(self, test_fraction: float, seed: int) -> Listing:
        """See `Source`; of test/ and val/ the first that has class folders counts."""
        if not (self.root / "train").is_dir():
            listing = _list({"": self.root}, self.root)
            listing.rows["split"] = stratified_split(listing.rows["label"].to_numpy(), test_fraction, seed)
            return listing
        held_out = [self.root / name for name in ("test", "val") if _class_folders(self.root / name)]
        if not held_out:
            raise DataError(f"{self.root} has train/ but no classes in test/ or val/: add one of them")
        return _list({"train": self.root / "train", "test": held_out[0]}, self.root)

    def reader(self, rows: pd.DataFrame, image_size: int, interpolation: Interpolation) -> FileReader:
        """See `Source`."""
        return FileReader(existing_files(rows, self.root), image_size, interpolation)


def _list(folders: dict[str, Path], root: Path) -> Listing:
    classes = sorted({path.name for folder in folders.values() for path in _class_folders(folder)})
    if not classes:
        raise DataError(
            f"{root} has no class folders: lay images out as train/CLASS/*, test/CLASS/* or CLASS/*"
        )
    rows: list[tuple[int, str, int, str]] = []
    problems = []
    for split, folder in folders.items():
        start = len(rows)
        for sub in _class_folders(folder):
            paths = [path.relative_to(root).as_posix() for path in _image_files(sub)]
            first, label = len(rows) - start, classes.index(sub.name)
            rows += [(first + number, path, label, split) for number, path in enumerate(paths)]
            if not paths:
                problems.append(f"class folder {sub} holds no image")
    return Listing(classes, pd.DataFrame(rows, columns=["index", "path", "label", "split"]), problems)


def _class_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    found = []
    for where, _, names in os.walk(folder, followlinks=True):
        found += [Path(where, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES)
