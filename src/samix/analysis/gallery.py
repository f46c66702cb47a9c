"""A sheet with every policy on the same photographs, which `samix gallery` draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from samix.analysis.gallery_mixes import LAMS, Shown, share_of_first
from samix.core.errors import DataError
from samix.data.sources.folder import SUFFIXES

PAIRS = 2
TILE = 112
_GAP, _CAPTION, _NAME, _BETWEEN = 3, 15, 118, 12  # pixels: around tiles, below them, left of them, two pairs
_INK, _GREY = (25, 25, 25), (110, 110, 110)


def photographs(images: Sequence[Path], seed: int) -> list[Tensor]:
    """2 * PAIRS images (1, 3, TILE, TILE) in [0, 1]: their centre squares; from folders, drawn by seed.

    Raises: DataError for a path that is not there, too few images, or a file that is none.
    """
    files: list[Path] = []
    for path in images:
        if not path.exists():
            raise DataError(f"there is no file or folder {path}")
        files += sorted(_images_below(path)) if path.is_dir() else [path]
    if len(files) < 2 * PAIRS:
        raise DataError(f"{len(files)} images in {', '.join(map(str, images))}: {2 * PAIRS} are needed")
    if any(path.is_dir() for path in images):
        files = [files[i] for i in np.random.default_rng(seed).choice(len(files), 2 * PAIRS, replace=False)]
    return [_read(path) for path in files[: 2 * PAIRS]]


def sheet(policies: dict[str, Shown], images: Sequence[Tensor], seed: int = 0) -> Image.Image:
    """A row for each policy; for each pair of `images` (1, 3, S, S) the mixes over LAMS.

    The number below a mix is the weight of the first image's label.
    """
    width = _NAME + PAIRS * len(LAMS) * (TILE + _GAP) + (PAIRS - 1) * _BETWEEN + _GAP
    height = (1 + len(policies)) * (TILE + _CAPTION + _GAP) + _GAP
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for pair, (first, second) in enumerate(zip(images[::2], images[1::2], strict=True)):
        for place, (image, title) in enumerate(((first, "first image"), (second, "second image"))):
            _paste(page, draw, (0, pair * len(LAMS) + place), image, title)
        for row, (name, shown) in enumerate(policies.items(), start=1):
            _name(draw, row, name)
            for column, mixed in enumerate(shown.mixes(first, second, seed)):
                _paste(
                    page, draw, (row, pair * len(LAMS) + column), mixed.images, f"{share_of_first(mixed):.2f}"
                )
        left, top = _corner(0, pair * len(LAMS) + len(LAMS) - 1)
        asked = "  ".join(f"{lam:g}" for lam in LAMS)
        draw.text((left + 6, top + TILE / 2), f"below, lam is\n{asked}", _GREY, _font(13), anchor="lm")
    return page


def save_sheet(page: Image.Image, path: Path) -> None:
    """Write a sheet as a PNG file, into a folder that need not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # 256 colours are enough for thumbnails, and a third of the size
    page.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def _images_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]


def _read(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (TILE, TILE), Image.Resampling.LANCZOS)
    except OSError as error:
        raise DataError(f"{path} cannot be read as an image: {error}") from error
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255


def _corner(row: int, column: int) -> tuple[int, int]:
    pair = column // len(LAMS)
    left = _NAME + column * (TILE + _GAP) + pair * _BETWEEN
    return left, _GAP + row * (TILE + _CAPTION + _GAP)


def _paste(
    page: Image.Image, draw: ImageDraw.ImageDraw, place: tuple[int, int], image: Tensor, title: str
) -> None:
    """Put an image (1, 3, H, W) on its place, shrunk to fit if it is larger than a tile."""
    left, top = _corner(*place)
    pixels = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    tile = ImageOps.contain(Image.fromarray(pixels), (TILE, TILE), Image.Resampling.LANCZOS)
    page.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
    draw.text((left + TILE / 2, top + TILE + 1), title, _GREY, _font(11), anchor="ma")


def _name(draw: ImageDraw.ImageDraw, row: int, name: str) -> None:
    _, top = _corner(row, 0)
    draw.text((_NAME - 8, top + TILE / 2), name, _INK, _font(14), anchor="rm")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
