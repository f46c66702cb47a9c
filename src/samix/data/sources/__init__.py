"""Where images come from. A new source: its file, a line in SOURCES, its name in DataConfig, its test."""

from __future__ import annotations

from samix.data.sources.base import Listing, Source
from samix.data.sources.cifar100 import Cifar100
from samix.data.sources.digits import Digits
from samix.data.sources.fashion_mnist import FashionMnist
from samix.data.sources.folder import Folder

SOURCES: dict[str, type[Digits] | type[Cifar100] | type[FashionMnist] | type[Folder]] = {
    "digits": Digits,
    "fashion_mnist": FashionMnist,
    "cifar100": Cifar100,
    "folder": Folder,
}

__all__ = ["SOURCES", "Listing", "Source"]
