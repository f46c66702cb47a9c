"""Weights as safetensors files that carry their own description."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samix.core.errors import DataError
from samix.core.files import atomic_path

if TYPE_CHECKING:
    import torch

_KEY = "samix"
MADE_WITH, FINGERPRINT = "made_with", "fingerprint"
"""Keys of the description that record how a result came about; `WeightsFile.fingerprint` leaves them out."""


@dataclass(frozen=True)
class WeightsFile:
    """Handle of a safetensors file; what nodes pass to each other instead of tensors."""

    path: Path

    def load(self, prefix: str = "") -> dict[str, torch.Tensor]:
        """Tensors whose name starts with `prefix`, the prefix removed.

        Raises: DataError where the file is missing or damaged, or nothing in it has the prefix.
        """
        with _opened(self.path) as file:
            tensors = {
                name.removeprefix(prefix): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118 - not a dict
                if name.startswith(prefix)
            }
        if not tensors:
            raise DataError(f"{self.path} holds no tensor whose name starts with {prefix!r}.")
        return tensors

    @property
    def metadata(self) -> dict[str, Any]:
        """The JSON description saved with the tensors. Raises DataError where there is none."""
        with _opened(self.path) as file:
            text = (file.metadata() or {}).get(_KEY)
        if text is None:
            raise DataError(f"{self.path} was not written by samix: it has no 'samix' metadata.")
        content: dict[str, Any] = json.loads(text)
        return content

    @property
    def fingerprint(self) -> str:
        """Digest of the tensors and of their description, without the record of how they were made.

        Raises: DataError if the file is missing or damaged.
        """
        about = {key: value for key, value in self.metadata.items() if key not in (MADE_WITH, FINGERPRINT)}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        with self.path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            header.pop("__metadata__")
            digest.update(json.dumps(header, sort_keys=True).encode())
            digest.update(file.read())
        return digest.hexdigest()


def save_weights(
    path: Path | str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]
) -> WeightsFile:
    """Write tensors (moved to the CPU) and JSON metadata to one safetensors file, whole or not at all."""
    from safetensors.torch import save_file  # imports torch, which handles alone do not need

    # clone: safetensors refuses tensors that share storage, as views of one buffer do
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(dict(metadata))})
    return WeightsFile(Path(path))


def _opened(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read the weights {path}: {error}") from error
