"""Pixels by position, from an array or from files, resized and cut to one square size."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from samix.config.data import Interpolation
from samix.core.errors import DataError

Result = TypeVar("Result")
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class Reader(ABC):
    """Images of one split. `image_size` is the side S of what `read` returns."""

    image_size: int

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def original(self, position: int) -> np.ndarray:
        """Image as stored, uint8 (H, W, 3). Raises DataError, naming it, if it cannot be read."""

    @abstractmethod
    def read(self, positions: Sequence[int] | np.ndarray) -> Tensor:
        """Images at `positions` (n,), uint8 (n, 3, S, S)."""

    def map(self, function: Callable[[int], Result], positions: Iterable[int]) -> list[Result]:
        """Results of `function` at each position, in order; by several threads if images are files."""
        return [function(position) for position in positions]


class ArrayReader(Reader):
    """Images of one array, uint8 (M, H, W) or (M, H, W, 3), which may be a memory-mapped file.

    Args: rows (N,) of the array, one per image.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        rows: np.ndarray,
        image_size: int,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        self.pixels = pixels
        self.rows = rows
        self.image_size = image_size
        self.interpolation = interpolation

    def __len__(self) -> int:
        return len(self.rows)

    def original(self, position: int) -> np.ndarray:
        """See `Reader`; grey becomes RGB."""
        return _rgb(np.asarray(self.pixels[self.rows[position]]))

    def read(self, positions: Sequence[int] | np.ndarray) -> Tensor:
        """See `Reader`."""
        images = _to_tensor(_rgb(self.pixels[self.rows[positions]]))
        return fit_square(images, self.image_size, self.interpolation)


class FileReader(Reader):
    """Image files, decoded on `read` by a few threads (PIL decodes outside the interpreter lock)."""

    def __init__(
        self, paths: Sequence[Path], image_size: int, interpolation: Interpolation = "bilinear"
    ) -> None:
        self.paths = paths
        self.image_size = image_size
        self.interpolation = interpolation
        self.threads = min(8, os.cpu_count() or 1)

    def __len__(self) -> int:
        return len(self.paths)

    def original(self, position: int) -> np.ndarray:
        """See `Reader`; any colour mode becomes RGB."""
        path = self.paths[position]
        try:
            with Image.open(path) as image:
                return np.array(image.convert("RGB"))
        except UNREADABLE as error:
            raise DataError(f"cannot read image {path}: {error}") from error

    def read(self, positions: Sequence[int] | np.ndarray) -> Tensor:
        """See `Reader`."""
        return torch.cat(self.map(self._fitted, positions))

    def map(self, function: Callable[[int], Result], positions: Iterable[int]) -> list[Result]:
        """See `Reader`."""
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(function, positions))

    def _fitted(self, position: int) -> Tensor:
        return fit_square(_to_tensor(self.original(position)[None]), self.image_size, self.interpolation)


def fit_square(images: Tensor, size: int, interpolation: Interpolation = "bilinear") -> Tensor:
    """Resize (n, 3, H, W) uint8 so that the shorter side is `size`, then cut the centre: (n, 3, size, size).

    With a low-pass filter if the image shrinks, as in PIL.
    """
    height, width = images.shape[-2:]
    scale = size / min(height, width)
    target = (max(size, round(height * scale)), max(size, round(width * scale)))
    if target != (height, width):
        images = functional.interpolate(images, size=target, mode=interpolation, antialias=True)
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return images[..., top : top + size, left : left + size].contiguous()


def _rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., None], 3, axis=-1)


def _to_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
