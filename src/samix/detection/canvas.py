"""Parts of a scene: cluttered grounds, and objects cut from images and laid onto them.

Pictures and images are float32 (H, W, 3) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

# Share of full ink from which a pixel belongs to the object; about the edge that a person sees.
INK = 0.35
_TRACE = 0.08
_DARK = 32 / 255


@dataclass(frozen=True)
class Cutout:
    """An object ready to be laid down: colour (h, w, 3) and opacity (h, w, 1), both in [0, 1]."""

    colour: np.ndarray
    opacity: np.ndarray


def is_ink(image: np.ndarray) -> bool:
    """Whether an image is a grey shape on black, such as a digit, and not a photo that fills its frame."""
    grey = bool(np.ptp(image, axis=2).max() < 0.02)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return grey and float(np.median(border)) < _DARK


def ground(size: int, clutter: float, rng: Generator) -> np.ndarray:
    """A picture (size, size, 3) without objects: a ramp of colour, coarse noise, lines and arcs."""
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x + np.sin(angle) * y
    ramp = ((ramp - ramp.min()) / np.ptp(ramp))[..., None]
    dark, light = rng.uniform(0, 0.25, 3), rng.uniform(0.1, 0.45, 3)
    picture = dark + (light - dark) * ramp + 0.3 * clutter * _cloud(size, rng)
    return _with_lines(np.clip(picture, 0, 1), round(12 * clutter), rng).astype(np.float32)


def cut(image: np.ndarray, ink: bool, size: int, rng: Generator) -> Cutout:
    """The object of an image, its longer side `size` pixels.

    With `ink` the shape is cut at its tight box and its ink is the opacity of a random tint, so that no dark
    square betrays it; else the whole image is a patch of random proportions.
    """
    if ink:
        shape = _tight(image.mean(axis=2) / max(float(image.max()), 1e-6))
        height, width = _scaled(shape.shape[0], shape.shape[1], size)
        opacity = np.clip(_resized(shape, height, width), 0, 1)[..., None]
        tint = rng.uniform(0.6, 1.0) * (1 - rng.uniform(0, 0.3, 3))
        return Cutout(np.broadcast_to(tint, (height, width, 3)), opacity * rng.uniform(0.75, 1.0))
    ratio = float(np.exp(rng.uniform(-0.4, 0.4)))
    height, width = _scaled(image.shape[0] * ratio, image.shape[1], size)
    return Cutout(np.clip(_resized_colour(image, height, width), 0, 1), np.ones((height, width, 1)))


def torn(item: Cutout, rng: Generator) -> Cutout:
    """A faint, turned strip of an object: its texture as clutter, without an object to be found."""
    axis = int(rng.integers(2))
    length = item.opacity.shape[axis]
    keep = max(2, round(length * rng.uniform(0.25, 0.45)))
    start = int(rng.integers(0, length - keep + 1))
    turns = int(rng.integers(4))

    def piece(plane: np.ndarray) -> np.ndarray:
        return np.rot90(np.take(plane, range(start, start + keep), axis=axis), turns)

    return Cutout(piece(item.colour), piece(item.opacity) * rng.uniform(0.35, 0.8))


def lay(picture: np.ndarray, item: Cutout, top: int, left: int) -> tuple[int, int, int, int]:
    """Lay an object onto `picture` in place; the tight box (x1, y1, x2, y2) of what is well visible."""
    height, width = item.opacity.shape[:2]
    area = picture[top : top + height, left : left + width]
    area += item.opacity * (item.colour - area)
    ink = item.opacity[..., 0] >= INK * item.opacity.max()
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return (
        left + int(columns[0]),
        top + int(rows[0]),
        left + int(columns[-1]) + 1,
        top + int(rows[-1]) + 1,
    )


def _tight(ink: np.ndarray) -> np.ndarray:
    """The shape with its soft edge: cut at INK itself, the edge would be a straight step."""
    rows, columns = np.flatnonzero((ink > _TRACE).any(axis=1)), np.flatnonzero((ink > _TRACE).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _cloud(size: int, rng: Generator) -> np.ndarray:
    """Smooth noise (size, size, 3) around 0 on two scales, its colours muted."""
    layers = []
    for cells in (4, 13):
        noise = 0.7 * rng.normal(0, 1, (cells, cells, 1)) + 0.3 * rng.normal(0, 1, (cells, cells, 3))
        layers.append(_resized_colour(noise, size, size))
    return np.asarray(sum(layers) / 2)


def _with_lines(picture: np.ndarray, count: int, rng: Generator) -> np.ndarray:
    """Thin lines and arcs, drawn at twice the size so that their edges are smooth."""
    size = len(picture)
    for _ in range(int(rng.integers(count + 1))):
        layer = Image.new("L", (2 * size, 2 * size))
        draw, width = ImageDraw.Draw(layer), int(rng.integers(2, 7))
        x1, y1, x2, y2 = (int(v) for v in rng.integers(0, 2 * size, 4))
        if rng.random() < 0.5:
            draw.line((x1, y1, x2, y2), fill=255, width=width)
        else:
            corners = (min(x1, x2), min(y1, y2), max(x1, x2) + 2, max(y1, y2) + 2)
            start = int(rng.integers(360))
            draw.arc(corners, start, start + int(rng.integers(40, 200)), fill=255, width=width)
        opacity = np.asarray(layer.resize((size, size), Image.Resampling.BOX))[..., None] / 255
        picture = picture + opacity * rng.uniform(0.3, 0.8) * (rng.uniform(0, 0.9, 3) - picture)
    return picture


def _scaled(height: float, width: float, longer: int) -> tuple[int, int]:
    scale = longer / max(height, width)
    return max(4, round(height * scale)), max(4, round(width * scale))


def _resized(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _resized_colour(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.stack([_resized(image[..., c], height, width) for c in range(3)], axis=-1)
