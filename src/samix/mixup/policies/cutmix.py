"""CutMix (Yun et al., 2019)."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.boxes import BoxDraws, draw_boxes
from samix.mixup.lam import Ratio
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents


class CutMix(Policy):
    """A box of `second` pasted into `first`; the weight of `first` is its true share of the pixels."""

    cost = "static"
    per_sample = True

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> BoxDraws:
        """See Policy: a box per batch, or one per sample with a lam per sample."""
        ratio = np.sqrt(1 - lam) if isinstance(lam, np.ndarray) else math.sqrt(1 - lam)
        return draw_boxes(shape, ratio, rng)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: BoxDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; for one box per batch only the pixels in the box are selected from the partners.

        Partners of other ranks are selected whole, as each rank has a box of its own.
        """
        mask = draws.boxes.mask_outside(images)
        if draws.host is None:
            return two_parents(blend(images, pairing.select(others), mask), pairing, draws.weights, mask)
        mixed, box = images.clone(), draws.host.value
        inside = pairing.select(others)[box.at] if pairing.across_ranks else pairing.select(others[box.at])
        mixed[box.at] = inside
        return two_parents(mixed, pairing, draws.weights, mask)
