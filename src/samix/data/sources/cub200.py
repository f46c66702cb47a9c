"""CUB-200-2011 (Wah et al. 2011): 5,994 + 5,794 photographs of 200 species of birds."""

from __future__ import annotations

from collections.abc import Iterator

from samix.data.sources.files import Item, PublishedFiles


class Cub200(PublishedFiles):
    """Whole images, without their boxes; labels are the published class ids less one."""

    published = {"train": 5_994, "test": 5_794}
    name = "cub200"
    archive = "CUB_200_2011"
    marker = "images.txt"

    def classes(self) -> list[str]:
        """See `PublishedFiles`; 001.Black_footed_Albatross is Black_footed_Albatross."""
        names = {int(number): name for number, name in self.table("classes.txt")}
        return [names[number + 1].split(".", 1)[-1] for number in range(len(names))]

    def items(self) -> Iterator[Item]:
        """See `PublishedFiles`."""
        label, train = dict(self.table("image_class_labels.txt")), dict(self.table("train_test_split.txt"))
        for image, path in self.table("images.txt"):
            yield Item(f"images/{path}", int(label[image]) - 1, "train" if int(train[image]) else "test")
