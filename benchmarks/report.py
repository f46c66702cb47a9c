"""Write docs/performance.md from the files of the benchmarks: python benchmarks/report.py DIRECTORY

DIRECTORY contains their --json files. The page is benchmarks/performance.md, in which the table of name.json
replaces a line {{name}}; if its file is missing, the page says so.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from measuring import describe, table

PROJECT = Path(__file__).parents[1]
PAGE = Path("docs/performance.md")
TEMPLATE = Path("benchmarks/performance.md")
SLOT = re.compile(r"^\{\{([a-z0-9_]+)\}\}$", re.MULTILINE)


def main(argv: list[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--page", type=Path, default=PROJECT / PAGE)
    arguments = parser.parse_args(argv)
    arguments.page.write_text(page((PROJECT / TEMPLATE).read_text(), arguments.directory))


def page(template: str, directory: Path) -> str:
    """The template with its tables."""
    return SLOT.sub(lambda match: section(directory / f"{match[1]}.json"), template)


def section(path: Path) -> str:
    """Command, machine, notes and table of one measurement."""
    if not path.exists():
        return "Not measured yet."
    record: dict[str, Any] = json.loads(path.read_text())
    parts = [f"`{record['command']}`", describe(record), record["notes"], table(record["rows"])]
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    main()
