"""Where a detector's pictures come from."""

from __future__ import annotations

from samix.config.detection import DetectionConfig
from samix.data import Images
from samix.detection.scenes import YEAR, compose_scenes


def provide_scenes(images: Images, config: DetectionConfig, seed: int) -> dict[str, str]:
    """A VOC-style set: one that is given, or scenes composed of the test split, which no training has seen.

    Composed scenes go to config.root/<name of the data set> and are kept while their recipe is the same.
    Returns: root, year, train_split and test_split, for `read_voc`.
    """
    if config.source == "voc":
        return {
            "root": str(config.root),
            "year": config.year,
            "train_split": config.train_split,
            "test_split": config.test_split,
        }
    root = compose_scenes(
        images.open("test"),
        images.card["classes"],
        config.scenes,
        seed=seed,
        root=config.root / images.card["name"],
        checksum=images.card["checksum"],
    )
    return {"root": str(root), "year": YEAR, "train_split": "train", "test_split": "test"}
