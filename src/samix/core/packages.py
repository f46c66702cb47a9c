"""Packages that only parts of the project need."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from samix.core.errors import DependencyError


def require(purpose: str, packages: Mapping[str, str]) -> None:
    """Check, without importing them, that all of `packages` are installed.

    Args: purpose, the part that needs them, for the message; packages, module -> name in the package index.
    Raises: DependencyError that names every missing package and the command that installs them.
    """
    missing = [package for module, package in packages.items() if find_spec(module) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise DependencyError(
            f"{purpose} needs {' and '.join(missing)}, which {verb} not installed: "
            f"run `pip install {' '.join(missing)}`, in the project's folder with `-c constraints.txt`."
        )
