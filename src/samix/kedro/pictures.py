"""Pictures that are drawn by one node and read by another."""

from __future__ import annotations

import base64
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NewType

from kedro.io import AbstractDataset

from samix.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# kedro-viz chooses how to show a preview by the name of its type
ImagePreview = NewType("ImagePreview", str)


class PictureDataset(AbstractDataset["Figure", bytes]):
    """A matplotlib figure as a PNG file, loaded as the bytes of the file.

    Kedro makes every dataset of a run before the first node: this one, unlike that of kedro-datasets, leaves
    the import of matplotlib to the node that draws.
    """

    def __init__(
        self,
        *,
        filepath: str,
        save_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """save_args: those of matplotlib's savefig."""
        # kedro-mlflow and kedro-viz look these two up by name
        self._filepath = PurePosixPath(filepath)
        self.metadata = metadata
        self._save_args = save_args or {}

    def load(self) -> bytes:
        """Content of the PNG file."""
        return Path(self._filepath).read_bytes()

    def save(self, data: Figure) -> None:
        """Replace the file, whole or not at all."""
        with atomic_path(Path(self._filepath)) as temporary:
            data.savefig(temporary, **self._save_args)

    def preview(self) -> ImagePreview:
        """The file in base64."""
        return ImagePreview(base64.b64encode(self.load()).decode())

    def _exists(self) -> bool:
        return Path(self._filepath).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "save_args": self._save_args}
