"""A short name for 'these parameters and these inputs', by which finished work is recognised."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
from pydantic import BaseModel


@runtime_checkable
class Fingerprinted(Protocol):
    """A handle that knows what identifies its content."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal contents, wherever they are stored."""


def fingerprint(**parts: Any) -> str:
    """Hex digest (32 characters) of named parameters and inputs.

    Accepted are pydantic models, JSON values, data frames, files (by content) and handles with a fingerprint
    of their own. Raises: TypeError for anything else, so that nothing is left out without notice.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"\0{name}\0".encode())
        digest.update(_bytes_of(parts[name]))
    return digest.hexdigest()[:32]


@cache
def code_of(kind: Callable[..., Any]) -> str:
    """Digest of the module that defines a class or function, without comments, docstrings and layout."""
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _bytes_of(part: Any) -> bytes:
    if isinstance(part, BaseModel):
        return part.model_dump_json().encode()
    if isinstance(part, pd.DataFrame):
        # pandas hashes the rows alone
        names = json.dumps([str(column) for column in part.columns]).encode()
        return names + pd.util.hash_pandas_object(part).to_numpy().tobytes()
    if isinstance(part, Fingerprinted):
        return part.fingerprint.encode()
    if isinstance(part, Path):
        return hashlib.sha256(part.read_bytes()).digest()
    return json.dumps(part, sort_keys=True).encode()
