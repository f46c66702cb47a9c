"""Images of one split by position: in memory if they fit, else decoded when fetched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from samix.data.readers import Reader

# Largest split that is kept in memory, in bytes of its uint8 pixels.
MEMORY_LIMIT = 2**30
_CHUNK = 1024


class ImageStore(ABC):
    """N square images and their labels. `labels` is an int64 tensor (N,); positions are 0..N-1."""

    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def fetch(self, indices: Tensor) -> Tensor:
        """Images at positions `indices` (n,), on any device: uint8 (n, 3, S, S) on the store's device."""

    @abstractmethod
    def to(self, device: torch.device | str) -> ImageStore:
        """The same store with its images and labels on `device`."""


class MemoryStore(ImageStore):
    """All images in one uint8 tensor (N, 3, S, S), so that a batch is one indexing on its device."""

    def __init__(self, pixels: Tensor, labels: Tensor) -> None:
        self.pixels = pixels
        self.labels = labels

    def fetch(self, indices: Tensor) -> Tensor:
        """See `ImageStore`."""
        return self.pixels[indices.to(self.pixels.device, non_blocking=True)]

    def to(self, device: torch.device | str) -> MemoryStore:
        """See `ImageStore`."""
        return MemoryStore(self.pixels.to(device), self.labels.to(device))


class ReadingStore(ImageStore):
    """Images that a reader decodes when they are fetched, then moved to the device."""

    def __init__(self, reader: Reader, labels: Tensor) -> None:
        self.reader = reader
        self.labels = labels

    def fetch(self, indices: Tensor) -> Tensor:
        """See `ImageStore`."""
        return self.read(indices).to(self.labels.device, non_blocking=True)

    def read(self, indices: Tensor) -> Tensor:
        """Images at positions `indices` (n,) in the host's memory, pinned if the store's device is a GPU."""
        images = self.reader.read(indices.cpu().numpy())
        return images.pin_memory() if self.labels.device.type == "cuda" else images

    def to(self, device: torch.device | str) -> ReadingStore:
        """See `ImageStore`; only labels are moved, pixels when they are fetched."""
        return ReadingStore(self.reader, self.labels.to(device))


def chunks(n: int, size: int) -> Iterator[Tensor]:
    """Positions 0..n-1 in order, `size` at a time."""
    for start in range(0, n, size):
        yield torch.arange(start, min(start + size, n))


def store_of(reader: Reader, labels: Tensor) -> ImageStore:
    """A store in memory if the images of `reader` fit into MEMORY_LIMIT, else one that reads on fetch."""
    size = reader.image_size
    if len(reader) * 3 * size * size > MEMORY_LIMIT:
        return ReadingStore(reader, labels)
    pixels = torch.empty(len(reader), 3, size, size, dtype=torch.uint8)
    for part in chunks(len(reader), _CHUNK):
        pixels[part] = reader.read(part.numpy())
    return MemoryStore(pixels, labels)
