"""SaliencyMix (Uddin et al., 2021)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Policy
from samix.mixup.fine_grained import fine_grained_saliency

Channels = tuple[float, float, float]


class SaliencyMix(Policy):
    """CutMix whose box lies around the most salient pixel of `second`; lam becomes the true share of `first`.

    One box a batch, around the first image of `second`; own_boxes: each around its own. mean and std are
    those the images were normalised by, because the detector works on bytes; without them each image is
    stretched from its darkest to its lightest value.
    """

    cost: ClassVar[Cost] = "L"

    def __init__(
        self, mean: Channels | None = None, std: Channels | None = None, own_boxes: bool = False
    ) -> None:
        """Raises: ConfigError for only one of mean and std."""
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigError("SaliencyMix: mean and std belong together; give both or none")
        self.normalisation = None if mean is None or std is None else (mean, std)
        self.own_boxes = own_boxes

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with lam (N,) and its box as mask. Draws nothing."""
        height, width = first.shape[-2:]
        saliency = fine_grained_saliency(
            as_shown(second if self.own_boxes else second[:1], self.normalisation)
        )
        peak = saliency.flatten(1).argmax(1)
        ratio = math.sqrt(1 - lam)
        rows = _inside(peak // width, height, ratio)
        columns = _inside(peak % width, width, ratio)
        box = rows[:, None, :, None] & columns[:, None, None, :]
        share = 1 - (rows.sum(1) * columns.sum(1)).float() / (height * width)
        mask = (~box).float().expand(len(first), -1, -1, -1)
        return Mixed(torch.where(box, second, first), share.expand(len(first)), mask)


def as_shown(images: Tensor, normalisation: tuple[Channels, Channels] | None) -> Tensor:
    """Images (N, 3, H, W) in [0, 1] as they were before they were normalised by (mean, std), float32.

    Where that is not known each image is stretched from its darkest to its lightest value.
    """
    images = images.float()
    if normalisation is None:
        low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
        return (images - low) / (high - low).clamp(min=1e-8)
    # channel by channel: a tensor of the numbers would have to be moved to the device
    channels = zip(images.unbind(1), *normalisation, strict=True)
    return torch.stack([channel * std + mean for channel, mean, std in channels], dim=1)


def _inside(centre: Tensor, size: int, ratio: float) -> Tensor:
    """(n, size) bools: CutMix's edges around each centre (n,), half of int(size * ratio) to either side."""
    half = int(size * ratio) // 2
    away = torch.arange(size, device=centre.device) - centre[:, None]
    return (away >= -half) & (away < half)
