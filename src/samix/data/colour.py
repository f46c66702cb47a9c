"""Colour changes with one factor per image, from and to float (n, 3, H, W) in [0, 1].

Brightness, contrast and saturation blend as in torchvision, with ITU-R 601 grey; hue rotates the HSV circle.
"""

from __future__ import annotations

import torch
from torch import Tensor

from samix.data.geometry import random_coins


def gray(x: Tensor) -> Tensor:
    """Luma (n, 1, H, W) of ITU-R 601."""
    red, green, blue = x.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).unsqueeze(1)


def jitter(
    x: Tensor, strength: tuple[float, float, float, float], p: float, generator: torch.Generator
) -> Tensor:
    """Jitter a share `p` of the images in the fixed order brightness, contrast, saturation, hue.

    Args: strength s of each change: factors from U(1 - s, 1 + s), hue from U(-s, s).
    """
    draws = torch.rand(4, len(x), generator=generator, device=x.device) * 2 - 1
    draws = draws * random_coins(len(x), p, generator)
    brightness, contrast, saturation, hue = (s * draw for s, draw in zip(strength, draws, strict=True))
    x = adjust_brightness(x, 1 + brightness)
    x = adjust_contrast(x, 1 + contrast)
    x = adjust_saturation(x, 1 + saturation)
    return adjust_hue(x, hue)


def adjust_brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Scale towards black; factor (n,), 1: no change."""
    return (x * _per_image(factor)).clamp(0, 1)


def adjust_contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean grey of the image; factor (n,), 1: no change."""
    return _blend(x, gray(x).mean((1, 2, 3), keepdim=True), factor)


def adjust_saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grey image; factor (n,), 1: no change, 0: grey."""
    return _blend(x, gray(x), factor)


def adjust_hue(x: Tensor, shift: Tensor) -> Tensor:
    """Rotate the hue of HSV by `shift` (n,), in turns; value and saturation are unchanged.

    With chroma c = max - min and hue h in sixths, channel k of (5, 3, 1) is
    max - c * clamp(min(m, 4 - m), 0, 1) where m = (k + h) mod 6, which needs no case by case assignment.
    """
    red, green, blue = x.unbind(1)
    value, chroma = x.amax(1), x.amax(1) - x.amin(1)
    safe = torch.where(chroma == 0, 1, chroma)
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * shift[:, None, None]
    channels = []
    for k in (5, 3, 1):
        m = torch.remainder(hue + k, 6)
        channels.append(value - chroma * torch.minimum(m, 4 - m).clamp(0, 1))
    return torch.stack(channels, 1)


def _blend(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    factor = _per_image(factor)
    return (factor * x + (1 - factor) * other).clamp(0, 1)


def _per_image(factor: Tensor) -> Tensor:
    return factor[:, None, None, None]
