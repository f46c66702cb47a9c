"""From a data configuration to a checked manifest and card, and from these to the images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from samix.config.data import DataConfig, Interpolation
from samix.core.errors import DataError
from samix.data.checks import (
    check_class_count,
    duplicate_problems,
    duplicates,
    listing_problems,
    raise_problems,
)
from samix.data.sources import SOURCES, Source
from samix.data.store import ImageStore, store_of
from samix.data.subset import limited
from samix.data.survey import channel_statistics, overall_checksum, survey

logger = logging.getLogger(__name__)
COLUMNS = ["index", "path", "label", "class_name", "split", "checksum"]
SPLITS = ("train", "test", "unlabelled")


class Prepared(NamedTuple):
    """The checked description of a data set.

    manifest: one row per image, columns COLUMNS, split one of SPLITS; an unlabelled row has label -1 and no
    class_name. card: JSON dict; class_counts: columns label, class_name, train and test.
    """

    manifest: pd.DataFrame
    card: dict[str, Any]
    class_counts: pd.DataFrame


def prepare(config: DataConfig, seed: int) -> Prepared:
    """List, check and describe a data set; nothing is written.

    Args: seed of the split (if the source has none) and of `limit`.
    Raises: DataError that lists all problems; ConfigError for a limit that the data cannot fill.
    """
    source = SOURCES[config.source](config.root, config.download)
    listing = source.listing(config.test_fraction, seed)
    check_class_count(listing, config.classes, source.name)
    problems = listing_problems(listing, source.published)
    rows = listing.rows
    if not {"train", "test"} <= set(rows["split"]):
        raise_problems(problems, source.name)
    if config.limit is not None:
        rows = rows.iloc[limited(rows["label"].to_numpy(), rows["split"].to_numpy(), config.limit, seed)]
    rows = pd.concat([rows[rows["split"] == split] for split in SPLITS], ignore_index=True)
    # label -1, no class, selects the last name
    rows["class_name"] = np.array([*listing.classes, ""], dtype=object)[rows["label"]]
    manifest, unreadable = _with_checksums(source, rows, config)
    repeated = duplicates(manifest)
    if source.published is None:
        problems += duplicate_problems(repeated)
    raise_problems(problems + unreadable, source.name)
    if len(repeated):
        logger.warning("%s: %d test images occur in train; kept, as published", source.name, len(repeated))
    card = _card(config, source, listing.classes, manifest) | {"duplicates": len(repeated)}
    return Prepared(manifest, card, _class_counts(listing.classes, manifest))


def open_images(card: dict[str, Any], manifest: pd.DataFrame, split: str) -> ImageStore:
    """Squares (side card["stored_size"]) of one of SPLITS, in the order of the manifest's rows.

    Labels of unlabelled images are -1. `Normalize.for_data(card)` cuts test images from the squares.
    Raises: DataError if the source no longer fits the manifest, for example if a file is missing.
    """
    root = None if card["root"] is None else Path(card["root"])
    source = SOURCES[card["source"]](root)
    return _open(source, manifest, split, card["stored_size"], card["interpolation"])


def pretraining_split(manifest: pd.DataFrame) -> str:
    """The split that self-supervised training uses: "unlabelled" if there is one, else "train"."""
    return "unlabelled" if (manifest["split"] == "unlabelled").any() else "train"


def _open(
    source: Source, manifest: pd.DataFrame, split: str, size: int, interpolation: Interpolation
) -> ImageStore:
    rows = manifest[manifest["split"] == split]
    if rows.empty:
        raise DataError(f"the manifest of {source.name!r} has no row of split {split!r}")
    labels = torch.tensor(rows["label"].to_numpy(), dtype=torch.int64)
    return store_of(source.reader(rows, size, interpolation), labels)


def _with_checksums(source: Source, rows: pd.DataFrame, config: DataConfig) -> tuple[pd.DataFrame, list[str]]:
    parts, problems = [], []
    for _, part in rows.groupby("split", sort=False):
        found = survey(source.reader(part, config.image_size, config.interpolation))
        parts.append(part.assign(checksum=found.checksums))
        problems += found.problems
    return pd.concat(parts, ignore_index=True)[COLUMNS], problems


def _card(config: DataConfig, source: Source, classes: list[str], manifest: pd.DataFrame) -> dict[str, Any]:
    stored = config.stored_size or config.image_size
    if config.mean is None or config.std is None:
        mean, std = channel_statistics(_open(source, manifest, "train", stored, config.interpolation))
    else:
        mean, std = list(config.mean), list(config.std)
    counts = manifest["split"].value_counts()
    keys = manifest["split"] + " " + manifest["label"].astype(str) + " " + manifest["checksum"]
    return {
        "name": source.name,
        "source": config.source,
        "root": None if config.root is None else str(config.root),
        "image_size": config.image_size,
        "stored_size": stored,
        "interpolation": config.interpolation,
        "mean": mean,
        "std": std,
        "classes": classes,
        "counts": {split: int(counts[split]) for split in SPLITS if split in counts},
        "checksum": overall_checksum(keys.tolist()),
        "flip": source.flip,
    }


def _class_counts(classes: list[str], manifest: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"label": range(len(classes)), "class_name": classes})
    for split in ("train", "test"):
        counts = manifest.loc[manifest["split"] == split, "label"].value_counts()
        table[split] = table["label"].map(counts).fillna(0).astype(np.int64)
    return table
