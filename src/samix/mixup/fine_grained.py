"""Fine-grained static saliency (Montabone and Soto, 2010), as OpenCV's detector of that name computes it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SCALES = (12, 24, 28, 48, 56, 112)
"""Half sides of the surroundings that a pixel is compared with."""


def fine_grained_saliency(images: Tensor) -> Tensor:
    """How much brighter or darker a pixel is than its surroundings at six scales.

    Args: images (N, 3, H, W), RGB in [0, 1].
    Returns: whole numbers (N, H, W) in [0, 255], int64; 0 everywhere for an image of one grey.
    """
    grey = _smooth(_smooth(_grey(images)))
    integral = F.pad(grey.cumsum(1).cumsum(2), (1, 0, 1, 0))
    brighter, darker = torch.zeros_like(grey), torch.zeros_like(grey)
    for scale in _SCALES:
        sums, others = _surroundings(integral, scale)
        # grey - (sums - grey) / others, times others: the mean of the surroundings excludes the pixel
        contrast = grey * others - (sums - grey)
        parts = others.clamp(min=1)  # a single pixel has no surroundings
        brighter += contrast.clamp(min=0) // parts
        darker += (-contrast).clamp(min=0) // parts
    # a pixel may be brighter at one scale and darker at another: limit the sum to a byte
    return (_to_byte(brighter) + _to_byte(darker)).clamp(max=255)


def _grey(images: Tensor) -> Tensor:
    """Whole numbers in [0, 255], weighted and rounded as cvtColor does."""
    red, green, blue = (images.float() * 255).round().clamp(0, 255).long().unbind(1)
    return (red * 9798 + green * 19235 + blue * 3735 + 16384) // 32768


def _smooth(grey: Tensor) -> Tensor:
    """A 3 x 3 binomial filter, rounded; the border is mirrored without its own pixel."""
    total = grey
    for dim in (1, 2):
        size = grey.shape[dim]
        before, after = total.narrow(dim, min(1, size - 1), 1), total.narrow(dim, max(0, size - 2), 1)
        padded = torch.cat([before, total, after], dim)
        total = padded.narrow(dim, 0, size) + 2 * total + padded.narrow(dim, 2, size)
    return (total + 8) // 16


def _surroundings(integral: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """Sum over the window around each pixel, clipped to the image, and its number of other pixels."""
    (top, bottom), (left, right) = (_window(size - 1, scale, integral) for size in integral.shape[1:])
    upper, lower = integral.index_select(1, top), integral.index_select(1, bottom)
    band = lower - upper
    sums = band.index_select(2, right) - band.index_select(2, left)
    others = (bottom - top)[:, None] * (right - left) - 1
    return sums, others


def _window(size: int, scale: int, like: Tensor) -> tuple[Tensor, Tensor]:
    position = torch.arange(size, device=like.device)
    return (position - scale + 1).clamp(min=0), (position + scale + 1).clamp(max=size)


def _to_byte(total: Tensor) -> Tensor:
    return 255 * total // total.amax((1, 2), keepdim=True).clamp(min=1)
