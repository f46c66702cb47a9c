"""Pascal VOC's annotation of one picture: an XML file of named boxes.

VOC counts pixels from 1 and its corners are the first and last pixel of the object. Inside samix a box is
(x1, y1, x2, y2) on a continuous plane whose origin is the picture's corner, so that its width is x2 - x1:
x1 = xmin - 1, x2 = xmax, and the same for y.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from samix.core.errors import DataError

Box = tuple[float, float, float, float]
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class BoxObject:
    """One object: class name, box (x1, y1, x2, y2) in pixels, and whether VOC leaves it out of the score."""

    name: str
    box: Box
    difficult: bool = False


def write_annotation(path: Path, image: str, size: tuple[int, int], objects: list[BoxObject]) -> None:
    """Write the objects of the picture `image` with `size` (height, width); boxes have whole coordinates."""
    root = ET.Element("annotation")
    ET.SubElement(root, "folder").text = path.parent.parent.name
    ET.SubElement(root, "filename").text = image
    numbers = ET.SubElement(root, "size")
    for key, number in zip(("height", "width", "depth"), (*size, 3), strict=True):
        ET.SubElement(numbers, key).text = str(number)
    for item in objects:
        node = ET.SubElement(root, "object")
        for key, text in (("name", item.name), ("difficult", str(int(item.difficult)))):
            ET.SubElement(node, key).text = text
        corners = ET.SubElement(node, "bndbox")
        x1, y1, x2, y2 = item.box
        for key, value in zip(_CORNERS, (x1 + 1, y1 + 1, x2, y2), strict=True):
            ET.SubElement(corners, key).text = f"{value:g}"
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8")


def read_annotation(path: Path) -> tuple[list[BoxObject], int]:
    """Objects of one annotation, and how many were dropped because xmax <= xmin or ymax <= ymin.

    One point for both corners is strictly an object of one pixel; in the sets at hand it is a slip.

    Raises: DataError, naming the file, if it is missing, is not XML, or an object lacks its name or box.
    """
    try:
        nodes = ET.parse(path).getroot().findall("object")
        objects = [_object(node) for node in nodes]
    except (OSError, ET.ParseError, ValueError) as error:
        raise DataError(f"cannot read the annotation {path}: {error}") from error
    kept = [item for item in objects if item is not None]
    return kept, len(objects) - len(kept)


def _object(node: ET.Element) -> BoxObject | None:
    name = _text(node, "name")
    corners = [float(_text(node, f"bndbox/{corner}")) for corner in _CORNERS]
    if not all(map(math.isfinite, corners)):
        raise ValueError(f"a box of {name!r} is not finite")
    xmin, ymin, xmax, ymax = corners
    if xmax <= xmin or ymax <= ymin:
        return None
    difficult = (node.findtext("difficult") or "0").strip() == "1"
    return BoxObject(name, (xmin - 1, ymin - 1, xmax, ymax), difficult)


def _text(node: ET.Element, path: str) -> str:
    text = (node.findtext(path) or "").strip()
    if not text:
        raise ValueError(f"an object has no <{path}>")
    return text
