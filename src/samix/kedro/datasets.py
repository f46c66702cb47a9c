"""Datasets that Kedro's own collection lacks."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NewType

from kedro.io import AbstractDataset

from samix.core.errors import DataError
from samix.core.files import atomic_path, found_under, read_json, write_json

if TYPE_CHECKING:
    from samix.core.weights import WeightsFile

# kedro-viz chooses how to show a preview by the name of its type
JSONPreview = NewType("JSONPreview", str)


class WeightsDataset(AbstractDataset["WeightsFile", "WeightsFile"]):
    """A safetensors file, passed between nodes as its handle; the tensors stay on disk.

    Saving puts the handle's file at `filepath`: a hard link where the file system allows one, else a copy.
    `former_name`: name in earlier versions, of a file that is read if there is none at `filepath`.
    """

    def __init__(
        self, *, filepath: str, former_name: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        # kedro-mlflow and kedro-viz look these two up by name
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata
        self._former_name = former_name

    def load(self) -> WeightsFile:
        """Handle of the file. Raises DataError if it does not exist."""
        from samix.core.weights import WeightsFile  # imports torch, which Kedro's start need not wait for

        if not self._exists():
            raise DataError(f"There is no {self._filepath}. Run the stage that writes these weights first.")
        return WeightsFile(self._found())

    def save(self, data: WeightsFile) -> None:
        """Put the file of the handle at `filepath`, whole or not at all."""
        if data.path.absolute() == Path(self._filepath).absolute():
            return
        with atomic_path(Path(self._filepath)) as temporary:
            try:
                os.link(data.path, temporary)
            except OSError:
                shutil.copyfile(data.path, temporary)

    def preview(self) -> JSONPreview:
        """The description that the file carries."""
        from samix.core.weights import WeightsFile

        return JSONPreview(json.dumps(WeightsFile(self._found()).metadata))

    def _found(self) -> Path:
        path = Path(self._filepath)
        return path if self._former_name is None else found_under(path, self._former_name)

    def _exists(self) -> bool:
        return self._found().exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


class RunInfoDataset(AbstractDataset[dict[str, Any], dict[str, Any]]):
    """The latest `kedro run` and the time that each stage took when it last ran; a small JSON file.

    Keys: command, pipeline, environment, seed, versions, commit, dirty, seconds (stage -> float).
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Raises DataError if no run has written the file yet."""
        content: dict[str, Any] = read_json(Path(self._filepath))
        return content

    def save(self, data: dict[str, Any]) -> None:
        """Replace the file, whole or not at all."""
        write_json(Path(self._filepath), data)

    def preview(self) -> JSONPreview:
        """The content."""
        return JSONPreview(json.dumps(read_json(Path(self._filepath))))

    def _exists(self) -> bool:
        return Path(self._filepath).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
