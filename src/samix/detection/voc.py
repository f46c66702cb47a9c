"""Reader of data sets laid out as Pascal VOC: VOCdevkit/VOC<year>/{JPEGImages,Annotations,ImageSets/Main}."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from samix.core.errors import DataError
from samix.detection.annotation import BoxObject, read_annotation

logger = logging.getLogger(__name__)
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_SHOWN = 10


@dataclass(frozen=True)
class DetectionSet:
    """Pictures with boxes, all lists in the order of the split.

    paths of the pictures; boxes float32 (n, 4), (x1, y1, x2, y2) in pixels inside the picture; labels int64
    (n,), 1..K (0 is the background); difficult bool (n,); classes, K names, label k is classes[k - 1].
    """

    paths: list[Path]
    boxes: list[Tensor]
    labels: list[Tensor]
    difficult: list[Tensor]
    classes: list[str]

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, position: int) -> Tensor:
        """Picture as uint8 (3, H, W)."""
        with Image.open(self.paths[position]) as image:
            pixels = np.array(image.convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def read_voc(root: Path, year: str, split: str, classes: Sequence[str] | None = None) -> DetectionSet:
    """Read and check one split; boxes are clipped to their picture, empty ones dropped and logged.

    Args: root, the folder that holds VOCdevkit; split, a list of ImageSets/Main; classes, of the training
    split, if this is another one (default: the names that occur here, sorted).
    Raises: DataError naming every problem: folders, lists, pictures or annotations that are missing or
    damaged, unknown classes, a split without pictures or without a single box.
    """
    base = root / "VOCdevkit" / f"VOC{year}"
    names = _names(base, split)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        rows = list(pool.map(lambda name: _read(base, name), names))
    problems = [problem for row in rows for problem in row.problems]
    found = {item.name for row in rows for item in row.objects}
    if not found and not problems:
        problems.append(f"no picture of split {split!r} in {base} has an object")
    known = sorted(found) if classes is None else list(classes)
    if unknown := sorted(found - set(known)):
        problems.append(f"split {split!r} of {base} has classes that training has not: {', '.join(unknown)}")
    if problems:
        raise DataError(_summary(problems))
    if dropped := sum(row.dropped for row in rows):
        logger.warning("%s, split %s: %d objects without area dropped", base, split, dropped)
    return _assembled(rows, known)


def voc_files(root: Path, year: str) -> list[Path]:
    """What `read_voc` reads, as far as it exists: the folder of pictures, annotations and split lists."""
    base = root / "VOCdevkit" / f"VOC{year}"
    texts = [*(base / "Annotations").glob("*.xml"), *(base / "ImageSets" / "Main").glob("*.txt")]
    return [*base.glob("JPEGImages"), *sorted(texts)]


@dataclass(frozen=True)
class _Row:
    path: Path
    objects: list[BoxObject]
    dropped: int
    problems: list[str]


def _names(base: Path, split: str) -> list[str]:
    path = base / "ImageSets" / "Main" / f"{split}.txt"
    if not base.is_dir():
        raise DataError(f"there is no folder {base}: detection_transfer.root must hold VOCdevkit/{base.name}")
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise DataError(f"there is no split list {path}; splits found: {there}")
    names = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not names:
        raise DataError(f"the split list {path} is empty")
    return names


def _read(base: Path, name: str) -> _Row:
    path, problems = base / "JPEGImages" / f"{name}.jpg", []
    objects: list[BoxObject] = []
    dropped, size = 0, None
    try:
        size = _checked_size(path)
    except _UNREADABLE as error:
        problems.append(f"cannot read the picture {path}: {error}")
    try:
        objects, dropped = read_annotation(base / "Annotations" / f"{name}.xml")
    except DataError as error:
        problems.append(str(error))
    if size is None:
        return _Row(path, objects, dropped, problems)
    clipped = [_clipped(item, *size) for item in objects]
    kept = [item for item in clipped if item.box[2] > item.box[0] and item.box[3] > item.box[1]]
    return _Row(path, kept, dropped + len(clipped) - len(kept), problems)


def _checked_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture that decodes to its end."""
    with Image.open(path) as image:
        width, height = image.size
        # JPEG decodes at 1/8 of the size, which still reads every byte and is much faster
        image.draft("RGB", (1, 1))
        image.load()
    return height, width


def _clipped(item: BoxObject, height: int, width: int) -> BoxObject:
    x1, y1, x2, y2 = item.box
    return BoxObject(item.name, (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)), item.difficult)


def _assembled(rows: list[_Row], classes: list[str]) -> DetectionSet:
    number = {name: label for label, name in enumerate(classes, start=1)}
    return DetectionSet(
        paths=[row.path for row in rows],
        boxes=[
            torch.tensor([o.box for o in row.objects], dtype=torch.float32).reshape(-1, 4) for row in rows
        ],
        labels=[torch.tensor([number[o.name] for o in row.objects], dtype=torch.int64) for row in rows],
        difficult=[torch.tensor([o.difficult for o in row.objects], dtype=torch.bool) for row in rows],
        classes=classes,
    )


def _summary(problems: list[str]) -> str:
    shown = problems[:_SHOWN]
    if rest := len(problems) - len(shown):
        shown.append(f"... and {rest} more")
    return "\n  ".join([f"{len(problems)} problem(s) in the detection data:", *shown])
