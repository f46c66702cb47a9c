"""The handle by which the images of a data set travel between stages and into worker processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from samix.core.fingerprint import code_of, fingerprint
from samix.data.prepare import open_images, pretraining_split
from samix.data.sources import SOURCES
from samix.data.store import ImageStore


@dataclass(frozen=True, eq=False)
class Images:
    """What is known of a data set, see `Prepared`, and the way back to its pixels; picklable.

    card: size, mean and std, classes, counts, checksum; manifest: one row per image.
    """

    card: Mapping[str, Any]
    manifest: pd.DataFrame

    def open(self, split: str) -> ImageStore:
        """The images of a split, see `open_images`. Raises: DataError for files that have changed."""
        return open_images(dict(self.card), self.manifest, split)

    def count(self, split: str) -> int:
        """Number of images of a split."""
        return int((self.manifest["split"] == split).sum())

    @property
    def pretraining(self) -> str:
        """The split that self-supervised training sees."""
        return pretraining_split(self.manifest)

    @property
    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, in [0, 1]."""
        return self.card["mean"], self.card["std"]

    @cached_property
    def fingerprint(self) -> str:
        """Of the card, the manifest and the code of the source; the folder of the files does not matter."""
        card = {key: value for key, value in self.card.items() if key != "root"}
        return fingerprint(card=card, manifest=self.manifest, code=code_of(SOURCES[card["source"]]))
