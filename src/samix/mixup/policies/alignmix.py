"""AlignMix (Venkataramanan et al., 2022)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policies.mixup import linear
from samix.mixup.policy import FeatureMix, Mixed, PairInfo, Policy, two_parents

EPSILON = 0.1
"""Weight of the entropy in the transport."""
ITERATIONS = 100
TOLERANCE = 0.1
"""The transport is settled if the rows' potentials change by less (sum over rows, mean over the batch)."""


class AlignMixDraws(NamedTuple):
    """weights (2, N); move_second: whether the second parents' features move, which selects the graph."""

    weights: Tensor
    move_second: bool


class AlignMix(Policy):
    """Mixup of the last features before pooling, aligned with each other by optimal transport.

    With probability 1/2 the features of `second` are moved to the places of `first`, else those of `first` to
    the places of `second`; no gradient passes through the transport. Published with alpha 2.
    """

    cost = "static"
    mixes_features = "maps"
    per_sample = True

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> AlignMixDraws:
        """See Policy: draws whose features move."""
        return AlignMixDraws(pair_weights(lam, shape.images), bool(rng.random() < 0.5))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: AlignMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the last features are mixed, there is no mask."""
        weights = draws.weights

        def blend(own: Tensor, partner: Tensor) -> Tensor:
            plan = alignment(own, partner).to(own.dtype)
            if draws.move_second:
                moved = (partner.flatten(2) @ plan.mT).view_as(own)
                return linear(own, moved, weights)
            return linear((own.flatten(2) @ plan).view_as(own), partner, weights)

        return two_parents(images, pairing, weights, features=FeatureMix(-1, blend))


@torch.no_grad()
def alignment(first: Tensor, second: Tensor) -> Tensor:
    """P times the transport plan from the places of `first` to those of `second`, by Sinkhorn's algorithm.

    Costs are squared distances of features, marginals are uniform, steps are computed in logarithms. Steps
    after the transport has settled are computed and discarded, because stopping would wait for the device.
    Args: features (N, C, h, w), P = h * w.   Returns: (N, P, P) float32, each column (a place of `second`)
    with sum 1, rows approximately.
    """
    places = first[0, 0].numel()
    one, other = (features.float().flatten(2).mT for features in (first, second))
    plan = math.log(places) - torch.cdist(one, other).square() / EPSILON
    settled = torch.zeros((), dtype=torch.bool, device=plan.device)
    for _ in range(ITERATIONS):
        rows = plan.log_softmax(2)
        change = EPSILON * (rows - plan)[..., 0].abs().sum(1).mean()
        plan = torch.where(settled, plan, rows.log_softmax(1))
        settled = settled | (change < TOLERANCE)
    return plan.exp()
