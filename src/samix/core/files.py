"""Files that are complete or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samix.core.errors import DataError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it onto `path` on success, delete it on failure.

    The temporary name has the suffix of `path`, because writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def found_under(path: Path | str, former_name: str) -> Path:
    """`path`, or the file `former_name` in its folder, of an earlier version, if only that exists."""
    path = Path(path)
    former = path.with_name(former_name)
    return former if former.exists() and not path.exists() else path


def write_json(path: Path | str, content: Any) -> None:
    """Write `content` as indented JSON, completely or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file. Raises DataError, naming the file, if it is missing or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}. Run the stage that writes it again.") from error
