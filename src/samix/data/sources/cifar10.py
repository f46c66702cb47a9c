"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 photographs of 32x32, ten classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samix.data.sources.published import PublishedArrays


class Cifar10(PublishedArrays):
    """torchvision checks the md5 of every file."""

    published = {"train": 50_000, "test": 10_000}
    name = "cifar10"

    def open(self, root: Path, train: bool, download: bool) -> Any:
        """See `PublishedArrays`."""
        from torchvision.datasets import CIFAR10

        return CIFAR10(root, train=train, download=download)
