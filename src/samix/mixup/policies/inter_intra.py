"""Inter-Intra mixup by clusters (SAMix, hand-crafted baseline)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import BoxDraws, draw_boxes
from samix.mixup.lam import Ratio, complemented, draw_lam
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents


class InterIntraDraws(NamedTuple):
    """lam of Mixup, a scalar, and CutMix's box."""

    lam_intra: Tensor
    box: BoxDraws


class InterIntra(Policy):
    """CutMix for pairs from two clusters, Mixup for pairs from one; chosen per sample by the labels.

    The given lam is that of CutMix and is intended for alpha >= 2. Mixup's is drawn here, one per batch, from
    Beta(alpha_intra, alpha_intra).
    """

    cost = "static"
    default_alpha = 2.0
    requires = frozenset({"labels"})

    def __init__(self, alpha_intra: float = 0.2) -> None:
        """Raises: ConfigError for an alpha that is not positive."""
        super().__init__()
        if not alpha_intra > 0:
            raise ConfigError(f"InterIntra: alpha_intra {alpha_intra} must be positive")
        self.alpha_intra = alpha_intra

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> InterIntraDraws:
        """See Policy: lam of Mixup, then the box."""
        lam_intra = torch.tensor(draw_lam(self.alpha_intra, rng))
        return InterIntraDraws(lam_intra, draw_boxes(shape, math.sqrt(1 - float(lam)), rng))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: InterIntraDraws, info: PairInfo
    ) -> Mixed:
        """See Policy. Raises: ValueError if the labels are missing."""
        if info.first.labels is None or info.second.labels is None:
            raise ValueError("Inter-Intra mixup requires the (pseudo) labels of both parents")
        same = info.first.labels == info.second.labels
        mask = torch.where(same[:, None, None, None], draws.lam_intra, draws.box.boxes.mask_outside(images))
        share = torch.where(same, draws.lam_intra, draws.box.weights[0])
        return two_parents(blend(images, pairing.select(others), mask), pairing, complemented(share), mask)
