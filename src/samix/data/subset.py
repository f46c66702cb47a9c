"""Stratified choices of rows, deterministic in the seed."""

from __future__ import annotations

import numpy as np

from samix.core.errors import ConfigError
from samix.core.random import Stream, numpy_generator_for


def stratified_split(labels: np.ndarray, test_fraction: float, seed: int) -> np.ndarray:
    """Split name, train or test, for each of `labels` (N,): about `test_fraction` of every class is test.

    A class of two or more images has at least one in each split; a single image is in train.
    """
    split = np.full(len(labels), "train", dtype=object)
    generator = numpy_generator_for(seed, Stream.SPLIT)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        size = min(max(1, round(len(members) * test_fraction)), len(members) - 1)
        split[members[:size]] = "test"
    return split


def stratified_subset(labels: np.ndarray, total: int, generator: np.random.Generator) -> np.ndarray:
    """Sorted positions (total,) of a random subset of `labels` (N,) with their class shares.

    Every class keeps at least one image, so classes <= total <= N is required.
    """
    classes, counts = np.unique(labels, return_counts=True)
    quota = class_quota(counts, total)
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:size]
        for label, size in zip(classes, quota, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def class_quota(counts: np.ndarray, total: int) -> np.ndarray:
    """Split `total` over classes of `counts` (C,) images by largest remainders, at least one per class."""
    spare = counts - 1
    exact = (total - len(counts)) * spare / max(1, spare.sum())
    quota = np.floor(exact).astype(np.int64)
    # Stable sort: equal remainders go to the lower label, on every machine.
    most = np.argsort(-(exact - quota), kind="stable")
    quota[most[: total - len(counts) - quota.sum()]] += 1
    return np.asarray(quota + 1)


def limited(labels: np.ndarray, split: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Sorted positions of `limit` training rows and, in proportion, of test and unlabelled rows, stratified.

    Args: labels (N,) and names of their splits (N,), which must contain train.
    Raises: ConfigError for a limit below the number of classes or above the number of training rows.
    """
    train = np.flatnonzero(split == "train")
    classes = len(np.unique(labels[train]))
    if limit < classes:
        raise ConfigError(f"data_preparation.limit={limit} is below the {classes} classes: raise it")
    if limit > len(train):
        raise ConfigError(f"data_preparation.limit={limit}: there are only {len(train)} training images")
    kept = []
    for name in np.unique(split):
        rows = np.flatnonzero(split == name)
        size = max(round(limit * len(rows) / len(train)), len(np.unique(labels[rows])))
        kept.append(
            rows[stratified_subset(labels[rows], size, numpy_generator_for(seed, f"{Stream.LIMIT}_{name}"))]
        )
    return np.sort(np.concatenate(kept))
