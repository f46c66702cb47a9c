"""Tiny ImageNet (Stanford CS231n): 100,000 + 10,000 photographs of 64x64, 200 classes of ImageNet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from samix.data.sources.files import Item, PublishedFiles


class TinyImagenet(PublishedFiles):
    """Labels follow the alphabetical order of the WordNet ids; test is the published validation split."""

    published = {"train": 100_000, "test": 10_000}
    name = "tiny_imagenet"
    archive = "tiny-imagenet-200"
    marker = "wnids.txt"

    def wnids(self) -> list[str]:
        """WordNet ids in label order."""
        return sorted((self.root / "wnids.txt").read_text(encoding="utf-8").split())

    def classes(self) -> list[str]:
        """See `PublishedFiles`; the first word of each id, followed by the id if several share it."""
        words = {wnid: words.split(",")[0].strip() for wnid, words in self.table("words.txt")}
        names = [words[wnid] for wnid in self.wnids()]
        count = Counter(names)
        return [
            name if count[name] == 1 else f"{name} ({wnid})"
            for name, wnid in zip(names, self.wnids(), strict=True)
        ]

    def items(self) -> Iterator[Item]:
        """See `PublishedFiles`."""
        labels = {wnid: label for label, wnid in enumerate(self.wnids())}
        for wnid, label in labels.items():
            for path in sorted((self.root / "train" / wnid / "images").glob("*.JPEG")):
                yield Item(path.relative_to(self.root).as_posix(), label, "train")
        for image, rest in self.table("val/val_annotations.txt"):
            yield Item(f"val/images/{image}", labels[rest.split()[0]], "test")
