"""A short name for 'these parameters and these inputs', by which finished work is recognised."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from samix.core.weights import WeightsFile


def fingerprint(**parts: Any) -> str:
    """Hex digest (32 characters) of named parameters and inputs.

    Pydantic models, JSON values, data frames, files (by content) and weight files are understood.
    Raises: TypeError for anything else, so that nothing is left out in silence.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"\0{name}\0".encode())
        digest.update(_bytes_of(parts[name]))
    return digest.hexdigest()[:32]


def _bytes_of(part: Any) -> bytes:
    if isinstance(part, BaseModel):
        return part.model_dump_json().encode()
    if isinstance(part, pd.DataFrame):
        # pandas hashes the rows alone
        names = json.dumps([str(column) for column in part.columns]).encode()
        return names + pd.util.hash_pandas_object(part).to_numpy().tobytes()
    if isinstance(part, WeightsFile):
        return hashlib.sha256(part.path.read_bytes()).digest()
    if isinstance(part, Path):
        return hashlib.sha256(part.read_bytes()).digest()
    return json.dumps(part, sort_keys=True).encode()
