"""Fingerprints of parameters and inputs, by which finished results are recognised."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import sys
from abc import ABC
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import pandas as pd
from pydantic import BaseModel

from samix.core.errors import DataError


@runtime_checkable
class Fingerprinted(Protocol):
    """A handle with a fingerprint of its content."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal contents, regardless of the place of storage."""


def fingerprint(**parts: Any) -> str:
    """Hex digest (32 characters) of named parameters and inputs.

    Accepts pydantic models, JSON values, data frames, files and folders (see `content_of`) and handles with a
    fingerprint.
    Raises: TypeError for other types, so that no part is ignored silently.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"\0{name}\0".encode())
        digest.update(_bytes_of(parts[name]))
    return digest.hexdigest()[:32]


def content_of(path: Path) -> str:
    """Digest of a file's content, or of the names and sizes of all files below a folder.

    Raises: DataError if there is neither.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise DataError(f"there is no file or folder {path}, which the parameters name: correct the path.")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    listed = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in files]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


@cache
def code_of(kind: Callable[..., Any]) -> str:
    """Digest of the modules that define a class or function, without comments, docstrings and formatting.

    Of a class: its own module and those of its base classes in samix or in its own package. Interfaces of
    samix, such as `Policy`, are the same for all classes and not included.
    """
    modules = {sys.modules[part.__module__] for part in (kind, *_bases(kind))}
    texts = [_plain_code(module) for module in sorted(modules, key=lambda module: module.__name__)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _bases(kind: Callable[..., Any]) -> list[type]:
    """Classes from whose modules `kind` takes its code; none for a function."""
    packages = {"samix", _package(kind)}
    own = [base for base in getattr(kind, "__mro__", ()) if _package(base) in packages]
    return [base for base in own if not (ABC in base.__bases__ and _package(base) == "samix")]


def _package(kind: Callable[..., Any]) -> str:
    return kind.__module__.partition(".")[0]


def _plain_code(module: ModuleType) -> str:
    tree = ast.parse(inspect.getsource(module))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.unparse(tree)


def _bytes_of(part: Any) -> bytes:
    if isinstance(part, BaseModel):
        return part.model_dump_json().encode()
    if isinstance(part, pd.DataFrame):
        # pandas hashes only the rows
        names = json.dumps([str(column) for column in part.columns]).encode()
        return names + pd.util.hash_pandas_object(part).to_numpy().tobytes()
    if isinstance(part, Fingerprinted):
        return part.fingerprint.encode()
    if isinstance(part, Path):
        return content_of(part).encode()
    return json.dumps(part, sort_keys=True).encode()
