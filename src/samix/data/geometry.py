"""Crops and mirror of a batch, drawn per image and done in one step."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from samix.config.data import Interpolation
from samix.data.resample import resample

CROP_RATIO = (3 / 4, 4 / 3)
"""Smallest and largest width / height of a random crop of an image."""
_TRIES = 10


def random_crops(
    n: int, size: int, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator
) -> Tensor:
    """Boxes (n, 4) of top, left, height, width in whole pixels of square images with side `size`.

    Inception-style as in torchvision: area share from U(scale), log of width / height from U(log ratio), ten
    tries to fit, else the largest centred box of an allowed ratio.
    """
    draws = torch.rand(n, 2, _TRIES, generator=generator, device=generator.device)
    area = size * size * (scale[0] + (scale[1] - scale[0]) * draws[:, 0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * draws[:, 1])
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width > 0) & (width <= size) & (height > 0) & (height <= size)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    nearest = min(max(1.0, ratio[0]), ratio[1])
    found = fits.any(1)
    height = torch.where(found, height.gather(1, first)[:, 0], round(size * min(1.0, 1 / nearest)))
    width = torch.where(found, width.gather(1, first)[:, 0], round(size * min(1.0, nearest)))
    room = torch.stack([size - height, size - width], 1)
    place = torch.rand(n, 2, generator=generator, device=generator.device)
    corner = torch.where(found[:, None], (place * (room + 1)).floor().minimum(room), (room / 2).round())
    return torch.cat([corner, height[:, None], width[:, None]], 1)


def crop_resize(
    images: Tensor, boxes: Tensor, flip: Tensor, size: int, interpolation: Interpolation = "bilinear"
) -> Tensor:
    """Cut `boxes` (n, 4) from images (n, 3, S, S) in [0, 1], scale them to `size`, mirror where `flip` (n,).

    torchvision's resized_crop with antialias, in floating point: bicubic values are held in [0, 1].
    """
    if interpolation == "bicubic":
        return resample(images, boxes, flip, size, interpolation).clamp(0, 1)
    if size < images.shape[-1]:
        return resample(images, boxes, flip, size, interpolation)
    return _enlarge(images, boxes, flip, size)


def _enlarge(images: Tensor, boxes: Tensor, flip: Tensor, size: int) -> Tensor:
    """`crop_resize`, bilinear, of boxes that only grow: no low-pass filter, so that sampling does.

    On a CPU it took a half (32 pixels) to a quarter (224) of the time of `resample`.
    """
    side = images.shape[-1]
    unit = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size
    boxes = boxes.to(images.dtype)
    rows = _coordinates(unit.expand(len(images), size), boxes[:, 0], boxes[:, 2], side)
    columns = torch.where(flip[:, None], 1 - unit, unit)
    columns = _coordinates(columns, boxes[:, 1], boxes[:, 3], side)
    grid = torch.stack([columns[:, None, :].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], -1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def pad_crop(images: Tensor, corners: Tensor, flip: Tensor, size: int, pad: int) -> Tensor:
    """Cut size x size from images (n, 3, S, S) with `pad` < S reflected pixels around, mirror where `flip`.

    Args: corners (n, 2), int64: top and left in the padded image; flip (n,). Pixels are moved, not changed.
    """
    side = images.shape[-1]
    steps = torch.arange(size, device=images.device)
    rows = _reflected(corners[:, :1] + steps - pad, side)[:, None, :, None]
    mirrored = torch.where(flip[:, None], steps.flip(0), steps)
    columns = _reflected(corners[:, 1:] + mirrored - pad, side)[:, None, None, :]
    across = images.gather(2, rows.expand(-1, images.shape[1], -1, side))
    return across.gather(3, columns.expand(-1, images.shape[1], size, -1))


def centre_crop(images: Tensor, size: int) -> Tensor:
    """The centre (n, 3, size, size) of square images (n, 3, S, S), where torchvision's CenterCrop has it."""
    start = centre_start(images.shape[-1], size)
    return images[..., start : start + size, start : start + size]


def centre_start(side: int, size: int) -> int:
    """First row and column of the centre of `size` pixels out of `side`."""
    return round((side - size) / 2)


def random_coins(n: int, p: float, generator: torch.Generator) -> Tensor:
    """Bool (n,), each true with probability `p`."""
    return torch.rand(n, generator=generator, device=generator.device) < p


def _coordinates(unit: Tensor, start: Tensor, length: Tensor, side: int) -> Tensor:
    """Positions in [0, 1] of a box as coordinates in [-1, 1] of pixel centres, held inside the box."""
    start, length = start[:, None], length[:, None]
    pixel = (start + unit * length - 0.5).maximum(start).minimum(start + length - 1)
    return pixel * (2 / (side - 1)) - 1


def _reflected(index: Tensor, side: int) -> Tensor:
    """Positions up to side - 1 beyond either end of 0..side-1, mirrored at the edge pixel."""
    return side - 1 - (side - 1 - index.abs()).abs()
