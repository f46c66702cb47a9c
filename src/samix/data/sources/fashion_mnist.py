"""Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 grey pictures of clothes, 28x28, ten classes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from samix.data.sources.published import PublishedArrays

# torchvision checks the md5 of the archives only; these are those of the unpacked files.
MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}


class FashionMnist(PublishedArrays):
    """Grey images, repeated to RGB."""

    published = {"train": 60_000, "test": 10_000}
    name = "fashion_mnist"

    def open(self, root: Path, train: bool, download: bool) -> Any:
        """See `PublishedArrays`. Raises RuntimeError for a file that differs from the published one."""
        from torchvision.datasets import FashionMNIST

        data = FashionMNIST(root, train=train, download=download)
        for name in (name for name in MD5 if name.startswith("train" if train else "t10k")):
            content = (Path(data.raw_folder) / name).read_bytes()
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[name]:
                raise RuntimeError(f"{data.raw_folder}/{name} is damaged: its md5 is not the published one")
        return data
