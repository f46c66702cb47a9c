"""The command `samix`, also `python -m samix`: one file per subcommand.

A subcommand is a module of this package whose docstring begins with its line in `samix --help` and that has
`main(arguments)`. Modules import what they need inside functions, so that `samix --help` imports neither
torch nor Kedro nor MLflow.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

from samix.core.errors import SamixError
from samix.core.suggestions import did_you_mean

COMMANDS = tuple(sorted(found.name for found in iter_modules(__path__)))
_HINT = "samix SUBCOMMAND --help lists the arguments. Without a subcommand, they are those of samix run."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the subcommand that the arguments name, `sys.argv` by default.

    Options without a subcommand, and no arguments, are those of `run`: packaged Kedro projects are called so.
    Raises: SystemExit with code 1 for an expected error and 2 for an unknown subcommand.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in ("-h", "--help"):
        print(_help())
        return
    name, rest = ("run", given) if not given or given[0].startswith("-") else (given[0], given[1:])
    if name not in COMMANDS:
        print(f"samix: there is no subcommand {name!r}. {did_you_mean(name, COMMANDS)}.", file=sys.stderr)
        sys.exit(2)
    try:
        import_module(f"{__name__}.{name}").main(rest)
    except SamixError as error:
        print(f"samix {name}: {error}", file=sys.stderr)
        sys.exit(1)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {_summary(name)}" for name in COMMANDS]
    return "\n".join(["usage: samix [SUBCOMMAND] [ARGUMENT ...]", "", *lines, "", _HINT])


def _summary(name: str) -> str:
    doc = import_module(f"{__name__}.{name}").__doc__ or ""
    return doc.splitlines()[0].rstrip(".")
