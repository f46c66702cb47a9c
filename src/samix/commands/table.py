"""Print the mixup policies, the training methods or the backbones, or write them into a page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from samix.config.base import Config
from samix.config.registry import METHODS
from samix.config.ssl import method_parameters
from samix.config.supervised import SupervisedConfig
from samix.core.errors import ConfigError
from samix.core.markdown import markdown
from samix.core.packages import require
from samix.core.suggestions import did_you_mean

NEEDS = {"torch": "torch", "torchvision": "torchvision", "timm": "timm"}
"""Of the tables that are made from networks and policies."""


def main(arguments: Sequence[str]) -> None:
    """Print a table as Markdown, or write it into a page.

    Raises: DependencyError for missing packages; ConfigError for a page without a place for the table.
    """
    given = _parser().parse_args(arguments)
    text = TABLES[given.table]()
    if given.into is None:
        print(text)
    else:
        write_into(given.into, given.table, text)


def write_into(page: Path, table: str, text: str) -> None:
    """Replace what stands between the marks of a table in a Markdown page.

    Raises: ConfigError if the page does not exist or does not have both marks.
    """
    begin, end = f"<!-- samix table {table} -->", f"<!-- end of samix table {table} -->"
    if not page.is_file():
        raise ConfigError(f"there is no page {page}.")
    before, found, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ConfigError(f"{page} has no place for the table: write the lines {begin} and {end}.")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="samix table", description=__doc__)
    parser.add_argument("table", type=_known, metavar="{" + ",".join(TABLES) + "}")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="a Markdown page with marks for the table, instead of printing",
    )
    return parser


def _known(name: str) -> str:
    if name not in TABLES:
        raise argparse.ArgumentTypeError(f"there is no table {name!r}. {did_you_mean(name, TABLES)}.")
    return name


def _policies() -> str:
    require("samix table policies", NEEDS)
    from samix.mixup.table import report

    return report()


def _backbones() -> str:
    require("samix table backbones", NEEDS)
    from samix.nn.table import HEADER, rows

    return markdown(HEADER, rows())


def _methods() -> str:
    configs: dict[str, type[Config]] = {"supervised": SupervisedConfig}
    configs |= {name: method_parameters(name) for name in METHODS}
    rows = [
        (name, (config.__doc__ or "").splitlines()[0].rstrip("."), _options(config))
        for name, config in configs.items()
    ]
    return markdown(("method", "what it is", "parameters and their defaults"), rows)


def _options(config: type[Config]) -> str:
    """name=default of each parameter; ... for a section of its own."""
    fields = config.model_fields.items()
    return ", ".join(
        f"`{name}`: ..." if isinstance(field.default, Config) else f"`{name}={field.default}`"
        for name, field in fields
    )


TABLES: dict[str, Callable[[], str]] = {
    "policies": _policies,
    "methods": _methods,
    "backbones": _backbones,
}
