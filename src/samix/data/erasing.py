"""Random erasing (Zhong et al. 2020): a random box of some images is replaced by noise."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.data.geometry import random_coins, random_crops

# timm's: share of the image's area, and height / width of the box.
AREA = (0.02, 1 / 3)
RATIO = (0.3, 1 / 0.3)


def random_erasing(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Fill a box of a share `p` of normalised images (n, 3, S, S) with N(0, 1), drawn per pixel and channel.

    timm's RandomErasing of mode pixel, for the whole batch at once and from `generator` only; unlike this
    function, timm rejects a box that is exactly as long as the image.
    """
    side = x.shape[-1]
    top, left, height, width = random_crops(len(x), side, AREA, RATIO, generator)[:, :, None].unbind(1)
    pixel = torch.arange(side, device=x.device)
    rows, columns = (pixel >= top) & (pixel < top + height), (pixel >= left) & (pixel < left + width)
    erased = rows[:, :, None] & columns[:, None, :] & random_coins(len(x), p, generator)[:, None, None]
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return torch.where(erased[:, None], noise, x)
