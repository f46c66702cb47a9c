"""FGVC-Aircraft (Maji et al. 2013): 6,667 + 3,333 photographs of 100 variants of aircraft."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from samix.core.errors import DataError
from samix.data.sources.files import Item, PublishedFiles
from samix.data.sources.published import UNUSABLE


class Aircraft(PublishedFiles):
    """Labels are variants; training takes the published trainval. The banner of a photograph stays on it."""

    published = {"train": 6_667, "test": 3_333}
    name = "aircraft"
    archive = "fgvc-aircraft-2013b"
    marker = "data/variants.txt"
    downloads = True

    def __init__(self, root: Path | None, download: bool = False) -> None:
        if download and root is not None:
            root.mkdir(parents=True, exist_ok=True)
            self._download(self.existing_root(root))
        super().__init__(root)

    def classes(self) -> list[str]:
        """See `PublishedFiles`."""
        lines = (self.root / "data/variants.txt").read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def items(self) -> Iterator[Item]:
        """See `PublishedFiles`."""
        labels = {name: label for label, name in enumerate(self.classes())}
        for split, part in (("train", "trainval"), ("test", "test")):
            for image, variant in self.table(f"data/images_variant_{part}.txt"):
                yield Item(f"data/images/{image}.jpg", labels[variant.strip()], split)

    @classmethod
    def _download(cls, root: Path) -> None:
        from torchvision.datasets import FGVCAircraft

        try:
            FGVCAircraft(root, download=True)
        except UNUSABLE as error:
            raise DataError(f"{cls.missing(root, cls.archive)} ({error})") from error
