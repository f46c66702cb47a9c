"""Pictures that are drawn by one node and read by another."""

from __future__ import annotations

from pathlib import Path

from kedro_datasets.matplotlib.matplotlib_dataset import MatplotlibDataset


class PictureDataset(MatplotlibDataset):  # type: ignore[misc]
    """A matplotlib figure as a PNG file; unlike its parent it can be loaded, as the bytes of the file."""

    def load(self) -> bytes:
        """Content of the PNG file."""
        return Path(str(self._get_load_path())).read_bytes()
