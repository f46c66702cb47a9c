"""Random resized crop and mirror of a batch, drawn per image and done in one resampling."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

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


def crop_resize(images: Tensor, boxes: Tensor, flip: Tensor) -> Tensor:
    """Cut `boxes` (n, 4) from float images (n, 3, S, S), scale them to S x S, mirror where `flip` (n,).

    Bilinear with the box's edges repeated: torchvision's resized_crop, as crops only grow.
    """
    size = images.shape[-1]
    unit = (torch.arange(size, device=images.device, dtype=images.dtype) + 0.5) / size
    boxes = boxes.to(images.dtype)
    rows = _coordinates(unit.expand(len(images), size), boxes[:, 0], boxes[:, 2], size)
    columns = torch.where(flip[:, None], 1 - unit, unit)
    columns = _coordinates(columns, boxes[:, 1], boxes[:, 3], size)
    grid = torch.stack([columns[:, None, :].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], -1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def random_coins(n: int, p: float, generator: torch.Generator) -> Tensor:
    """Bool (n,), each true with probability `p`."""
    return torch.rand(n, generator=generator, device=generator.device) < p


def _coordinates(unit: Tensor, start: Tensor, length: Tensor, size: int) -> Tensor:
    """Positions in [0, 1] of a box as coordinates in [-1, 1] of pixel centres, held inside the box."""
    start, length = start[:, None], length[:, None]
    pixel = (start + unit * length - 0.5).maximum(start).minimum(start + length - 1)
    return pixel * (2 / (size - 1)) - 1
