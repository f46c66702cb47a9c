"""Where images come from. A new source: its file, a line in SOURCES, its name in DataConfig, its test."""

from __future__ import annotations

from collections.abc import Callable

from samix.data.sources.aircraft import Aircraft
from samix.data.sources.base import Listing, Source
from samix.data.sources.cifar10 import Cifar10
from samix.data.sources.cifar100 import Cifar100
from samix.data.sources.cub200 import Cub200
from samix.data.sources.digits import Digits
from samix.data.sources.fashion_mnist import FashionMnist
from samix.data.sources.folder import Folder
from samix.data.sources.stl10 import Stl10
from samix.data.sources.tiny_imagenet import TinyImagenet

# Each takes the root and, where it has one, whether to download.
SOURCES: dict[str, Callable[..., Source]] = {
    "digits": Digits,
    "fashion_mnist": FashionMnist,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "stl10": Stl10,
    "tiny_imagenet": TinyImagenet,
    "cub200": Cub200,
    "aircraft": Aircraft,
    "folder": Folder,
}

__all__ = ["SOURCES", "Listing", "Source"]
