"""Crops scaled with a low-pass filter, one box per image: two products with matrices of weights."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.config.data import Interpolation

# Half the width of each kernel, in pixels.
_SUPPORT = {"bilinear": 1, "bicubic": 2}


def resample(images: Tensor, boxes: Tensor, flip: Tensor, size: int, interpolation: Interpolation) -> Tensor:
    """Cut `boxes` (n, 4) from float images (n, 3, S, S), scale them to `size`, mirror if `flip` (n,).

    PIL's resampling of the crop, as torchvision's with antialias: if a box shrinks, the kernel widens in
    proportion; pixels outside the box have no weight. Bicubic values may leave the range of the image.
    """
    boxes = boxes.to(images.dtype)
    rows = _weights(boxes[:, 0], boxes[:, 2], images.shape[-2], size, interpolation)
    columns = _weights(boxes[:, 1], boxes[:, 3], images.shape[-1], size, interpolation)
    columns = torch.where(flip[:, None, None], columns.flip(1), columns)
    # fp32 island: autocast would round pixels to half precision
    with torch.autocast(images.device.type, enabled=False):
        return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _weights(start: Tensor, length: Tensor, side: int, size: int, interpolation: Interpolation) -> Tensor:
    """Share (n, size, side) of every pixel of an axis in every new pixel; rows sum to 1."""
    start, length = start[:, None, None], length[:, None, None]
    scale = length / size
    centre = start + (torch.arange(size, device=start.device)[:, None] + 0.5) * scale
    pixel = torch.arange(side, device=start.device)
    distance = (pixel + 0.5 - centre).abs() / scale.clamp_min(1)
    inside = (pixel >= start) & (pixel < start + length) & (distance < _SUPPORT[interpolation])
    weight = torch.where(inside, _kernel(distance, interpolation), 0)
    return weight / weight.sum(2, keepdim=True)


def _kernel(distance: Tensor, interpolation: Interpolation) -> Tensor:
    """The triangle, or Keys' cubic with a = -1/2 (PIL's), at distances (...) >= 0 within its support."""
    if interpolation == "bilinear":
        return 1 - distance
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, far)
