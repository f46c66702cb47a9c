"""Versions of the code that a result depends on."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import samix

_PACKAGES = ("samix", "torch", "torchvision", "timm", "kedro", "mlflow")


def versions() -> dict[str, str]:
    """Version of Python and of every package that a result depends on, read without importing it."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def source_digest() -> str:
    """Digest (12 characters) of all source files of samix."""
    root = Path(samix.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]
