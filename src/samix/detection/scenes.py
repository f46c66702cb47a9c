"""Detection data made of classification images: objects on a cluttered ground, as a Pascal VOC folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from samix.config.detection import SceneConfig
from samix.core.errors import DataError
from samix.core.files import read_json, write_json
from samix.core.fingerprint import fingerprint
from samix.core.random import generator_for, numpy_generator_for
from samix.data.store import ImageStore
from samix.detection.annotation import BoxObject, write_annotation
from samix.detection.canvas import Cutout, cut, ground, is_ink, lay, torn

YEAR = "2007"
_MARKER = "scenes.json"
_RECIPE = 1  # part of the fingerprint: to be raised when the same parameters draw other pictures
_TRIES = 40
_OVERLAP = 0.1


@dataclass(frozen=True)
class ObjectPool:
    """Images that the scenes of one split may show.

    positions (n,) in `store`; classes, names by label; ink: they are grey shapes on black (`is_ink`).
    """

    store: ImageStore
    positions: Tensor
    classes: Sequence[str]
    ink: bool

    def draw(self, rng: Generator) -> tuple[np.ndarray, str]:
        """An image, float32 (S, S, 3) in [0, 1], and its class."""
        position = self.positions[int(rng.integers(len(self.positions)))]
        image = self.store.fetch(position[None])[0].permute(1, 2, 0).float() / 255
        return image.cpu().numpy(), self.classes[int(self.store.labels[position])]


def compose_scenes(
    store: ImageStore, classes: Sequence[str], config: SceneConfig, *, seed: int, root: Path, checksum: str
) -> Path:
    """Write the scenes to root/VOCdevkit/VOC2007, splits "train" and "test", whole or not at all.

    Args: store, images that pre-training never saw; classes, names by label; checksum of the images (of the
    data card), by which finished scenes are recognised and kept.
    Returns: root, for `read_voc`.
    Raises: DataError if a class has fewer than two images, so that the splits would share one, or if
    `root` holds other files than scenes.
    """
    mark = fingerprint(recipe=_RECIPE, config=config, seed=seed, checksum=checksum, classes=list(classes))
    if _finished(root, mark):
        return root
    pools = _pools(store, classes, config, seed)
    temporary = root.with_name(f".{root.name}.{os.getpid()}.tmp")
    try:
        for split, count in (("train", config.train), ("test", config.test)):
            scenes = (
                compose_scene(pools[split], config, numpy_generator_for(seed, f"scenes/{split}", i))
                for i in range(count)
            )
            _write_split(temporary / "VOCdevkit" / f"VOC{YEAR}", split, scenes)
        write_json(temporary / _MARKER, {"fingerprint": mark})
        shutil.rmtree(root, ignore_errors=True)
        temporary.rename(root)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def compose_scene(
    pool: ObjectPool, config: SceneConfig, rng: Generator
) -> tuple[np.ndarray, list[BoxObject]]:
    """One picture, uint8 (size, size, 3), and its objects with tight boxes.

    An object that finds no free place is left out, so a crowded picture may hold fewer than drawn, but one.
    """
    picture = ground(config.size, config.clutter, rng)
    for _ in range(round(10 * config.clutter)):
        piece = torn(_object(pool, config, rng)[0], rng)
        height, width = piece.opacity.shape[:2]
        lay(picture, piece, *_place(height, width, config.size, rng))
    objects: list[BoxObject] = []
    for _ in range(int(rng.integers(config.objects[0], config.objects[1] + 1))):
        item, name = _object(pool, config, rng)
        height, width = item.opacity.shape[:2]
        place = _free_place(height, width, config.size, objects, rng)
        if place is not None:
            objects.append(BoxObject(name, lay(picture, item, *place)))
    # noise on top of everything, so that a smooth area does not betray an object
    picture += rng.normal(0, 0.06 * config.clutter, picture.shape)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8), objects


def _object(pool: ObjectPool, config: SceneConfig, rng: Generator) -> tuple[Cutout, str]:
    image, name = pool.draw(rng)
    smallest, largest = config.object_size
    return cut(image, pool.ink, int(rng.integers(smallest, largest + 1)), rng), name


def _place(height: int, width: int, size: int, rng: Generator) -> tuple[int, int]:
    return int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))


def _free_place(
    height: int, width: int, size: int, taken: list[BoxObject], rng: Generator
) -> tuple[int, int] | None:
    for _ in range(_TRIES):
        top, left = _place(height, width, size, rng)
        box = (left, top, left + width, top + height)
        if all(_overlap(box, other.box) <= _OVERLAP for other in taken):
            return top, left
    return None


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Common area as a share of the smaller box."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return max(width, 0) * max(height, 0) / min(areas)


def _pools(
    store: ImageStore, classes: Sequence[str], config: SceneConfig, seed: int
) -> dict[str, ObjectPool]:
    """Two disjoint parts of the images, every class in both, in the ratio of the numbers of scenes."""
    parts: dict[str, list[Tensor]] = {"train": [], "test": []}
    labels = store.labels.cpu()
    for label in sorted(set(labels.tolist())):
        members = torch.nonzero(labels == label).flatten()
        if len(members) < 2:
            raise DataError(
                f"class {classes[label]!r} has one test image only: the scenes to train on and to test on "
                "need at least one each. Raise data_preparation.limit or test_fraction."
            )
        order = torch.randperm(len(members), generator=generator_for(seed, "scenes/split", label))
        train = round(len(members) * config.train / (config.train + config.test))
        train = min(max(train, 1), len(members) - 1)
        parts["train"].append(members[order[:train]])
        parts["test"].append(members[order[train:]])
    ink = _mostly_ink(store)
    return {split: ObjectPool(store, torch.cat(part), classes, ink) for split, part in parts.items()}


def _mostly_ink(store: ImageStore) -> bool:
    """One answer for all images: a bag that touches its frame is cut like shoes."""
    sample = store.fetch(torch.linspace(0, len(store) - 1, min(64, len(store))).long())
    images = sample.permute(0, 2, 3, 1).float().cpu().numpy() / 255
    return bool(np.mean([is_ink(image) for image in images]) > 0.5)


def _finished(root: Path, mark: str) -> bool:
    if not root.exists() or not any(root.iterdir()):
        return False
    if not (root / _MARKER).exists():
        raise DataError(f"{root} holds other files than scenes: empty it, or choose another folder.")
    return bool(read_json(root / _MARKER)["fingerprint"] == mark)


def _write_split(base: Path, split: str, scenes: Iterable[tuple[np.ndarray, list[BoxObject]]]) -> None:
    images, annotations, lists = base / "JPEGImages", base / "Annotations", base / "ImageSets" / "Main"
    for folder in (images, annotations, lists):
        folder.mkdir(parents=True, exist_ok=True)
    names = []
    for i, (picture, objects) in enumerate(scenes):
        names.append(f"{split}_{i:05d}")
        Image.fromarray(picture).save(images / f"{names[-1]}.jpg", quality=95)
        write_annotation(annotations / f"{names[-1]}.xml", f"{names[-1]}.jpg", picture.shape[:2], objects)
    (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
