"""Checks of a data set before anything is written; all problems are reported, not only the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from samix.core.errors import DataError
from samix.data.sources.base import Listing

SHOWN = 20


def raise_problems(problems: Sequence[str], name: str) -> None:
    """Raise one DataError that lists the first SHOWN problems and the number of others; none: return."""
    if not problems:
        return
    lines = [f"data set {name!r} cannot be used, problems found: {len(problems)}"]
    lines += [f"  - {line}" for line in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"  and {len(problems) - SHOWN} more")
    raise DataError("\n".join(lines))


def check_class_count(listing: Listing, expected: int | None, name: str) -> None:
    """Raise DataError, before a large set is read, if it does not have the expected number of classes."""
    if expected is not None and len(listing.classes) != expected:
        raise DataError(
            f"data set {name!r} has {len(listing.classes)} classes, data_preparation.classes={expected}: "
            "root may be another set, or its folders may be nested otherwise than CLASS/*"
        )


def listing_problems(listing: Listing, published: Mapping[str, int] | None) -> list[str]:
    """Problems of a listing: classes that cannot be learnt, wrong counts of a published set."""
    rows = listing.rows
    trained = set(rows.loc[rows["split"] == "train", "label"])
    tested = Counter(rows.loc[rows["split"] == "test", "label"])
    problems = list(listing.problems)
    for label, name in enumerate(listing.classes):
        if label not in trained and tested[label]:
            problems.append(f"class {name!r} is in test (images: {tested[label]}) and not in train")
        elif label not in trained:
            problems.append(f"class {name!r} has no training image")
    if not tested:
        problems.append("there is no test image")
    counts = {"total": len(rows), **rows["split"].value_counts().to_dict()}
    for part, expected in (published or {}).items():
        found = counts.get(part, 0)
        if found != expected:
            problems.append(f"{found} images in {part} where the published set has {expected}")
    return problems


def duplicates(manifest: pd.DataFrame) -> pd.DataFrame:
    """Test rows whose pixels occur in train, with column `train_path` of the first such training row."""
    readable = manifest[manifest["checksum"] != ""]
    train = readable[readable["split"] == "train"].drop_duplicates("checksum").set_index("checksum")["path"]
    test = readable[(readable["split"] == "test") & readable["checksum"].isin(train.index)]
    return test.assign(train_path=train.reindex(test["checksum"]).to_numpy())


def duplicate_problems(repeated: pd.DataFrame) -> list[str]:
    """One sentence for every row of `duplicates`."""
    pairs = zip(repeated["path"], repeated["train_path"], strict=True)
    return [f"test image {path} has the same pixels as training image {train}" for path, train in pairs]
