"""SaliencyMix (Uddin et al., 2021)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from samix.mixup.base import Cost, Guides, Mixed, Policy
from samix.mixup.fine_grained import fine_grained_saliency
from samix.mixup.unit_range import Channels, UnitRange


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
        self.range = UnitRange("SaliencyMix", mean, std)
        self.own_boxes = own_boxes

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with lam (N,) and its box as mask. Draws nothing."""
        height, width = first.shape[-2:]
        unit, _ = self.range.shown(second if self.own_boxes else second[:1])
        saliency = fine_grained_saliency(unit)
        peak = saliency.flatten(1).argmax(1)
        ratio = math.sqrt(1 - lam)
        rows = _inside(peak // width, height, ratio)
        columns = _inside(peak % width, width, ratio)
        box = rows[:, None, :, None] & columns[:, None, None, :]
        share = 1 - (rows.sum(1) * columns.sum(1)).float() / (height * width)
        mask = (~box).float().expand(len(first), -1, -1, -1)
        return Mixed(torch.where(box, second, first), share.expand(len(first)), mask)


def _inside(centre: Tensor, size: int, ratio: float) -> Tensor:
    """(n, size) bools: CutMix's edges around each centre (n,), half of int(size * ratio) to either side."""
    half = int(size * ratio) // 2
    away = torch.arange(size, device=centre.device) - centre[:, None]
    return (away >= -half) & (away < half)
