"""Checkpoints of a running `fit`: complete or absent, and only loaded by the job that wrote them."""

from __future__ import annotations

import logging
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from samix.core.files import atomic_path

log = logging.getLogger(__name__)

# errors of torch.load and of the fields for a file that is truncated, foreign or of another version
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, pickle.UnpicklingError)


@dataclass
class Checkpoint:
    """Everything that the next step depends on, after `step` finished steps."""

    fingerprint: str
    step: int
    learner: dict[str, Any]
    optimizers: list[dict[str, Any]]
    history: list[dict[str, float]]

    def save(self, path: Path) -> None:
        """Write the checkpoint; an older one stays until the new one is complete."""
        with atomic_path(path) as temporary:
            torch.save(asdict(self), temporary)

    @staticmethod
    def load(path: Path, fingerprint: str) -> Checkpoint | None:
        """The checkpoint at `path`, or None if there is no readable one of a job with this fingerprint."""
        if not path.exists():
            return None
        try:
            saved = Checkpoint(**torch.load(path, map_location="cpu", weights_only=True))
        except _UNREADABLE as error:
            log.warning(
                "Cannot read the checkpoint %s (%s): training starts from the beginning.", path, error
            )
            return None
        return saved if saved.fingerprint == fingerprint else None
