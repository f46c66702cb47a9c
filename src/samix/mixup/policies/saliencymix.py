"""SaliencyMix (Uddin et al., 2021)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.fine_grained import fine_grained_saliency
from samix.mixup.lam import Ratio, complemented
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents
from samix.mixup.unit_range import Channels, UnitRange


class HalfDraws(NamedTuple):
    """Half of the box's rows and of its columns, scalars: distance of CutMix's edges from the centre."""

    rows: Tensor
    columns: Tensor


class SaliencyMix(Policy):
    """CutMix whose box lies around the most salient pixel of `second`; lam becomes the true share of `first`.

    One box per batch, at the peak of the first image of `second`; own_boxes: one per sample, at its own peak.
    mean and std are those used to normalise the images, needed because the detector works on bytes; without
    them each image is stretched from its darkest to its lightest value.
    """

    cost = "saliency"

    def __init__(
        self, mean: Channels | None = None, std: Channels | None = None, own_boxes: bool = False
    ) -> None:
        """Raises: ConfigError for only one of mean and std."""
        super().__init__()
        self.range = UnitRange("SaliencyMix", mean, std)
        self.own_boxes = own_boxes

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> HalfDraws:  # noqa: ARG002
        """See Policy; draws nothing."""
        ratio = math.sqrt(1 - float(lam))
        return HalfDraws(
            torch.tensor(int(shape.height * ratio) // 2), torch.tensor(int(shape.width * ratio) // 2)
        )

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: HalfDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the box is the mask."""
        height, width = images.shape[-2:]
        second = pairing.select(others)
        unit, _ = self.range.shown(second if self.own_boxes else second[:1])
        saliency = fine_grained_saliency(unit)
        peak = saliency.flatten(1).argmax(1)
        rows = _inside(peak // width, height, draws.rows)
        columns = _inside(peak % width, width, draws.columns)
        box = rows[:, None, :, None] & columns[:, None, None, :]
        share = 1 - (rows.sum(1) * columns.sum(1)).float() / (height * width)
        mask = (~box).float().expand(len(images), -1, -1, -1)
        weights = complemented(share.expand(len(images)))
        return two_parents(torch.where(box, second, images), pairing, weights, mask)


def _inside(centre: Tensor, size: int, half: Tensor) -> Tensor:
    """(n, size) bools: CutMix's edges around each centre (n,), `half` to either side."""
    away = torch.arange(size, device=centre.device) - centre[:, None]
    return (away >= -half) & (away < half)
