"""Manifold Mixup (Verma et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policies.mixup import linear
from samix.mixup.policy import FeatureMix, Mixed, PairInfo, Policy, two_parents


class StageDraws(NamedTuple):
    """stage after which features are mixed, which selects the graph; weights (2, N)."""

    stage: int
    weights: Tensor


class ManifoldMix(Policy):
    """Mixup of the features after a stage that is drawn for each batch, or of the images themselves.

    stages: drawn with equal probability; 0, the images; k, after the k-th stage of the network. The published
    figures use (0, 1, 2), those of WRN-28-8 (0, 1).
    """

    cost = "static"
    mixes_features = "features"
    per_sample = True

    def __init__(self, stages: Sequence[int] = (0, 1, 2)) -> None:
        """Raises: ConfigError for no stage or one below 0."""
        super().__init__()
        if not stages or min(stages) < 0:
            raise ConfigError(f"ManifoldMix: stages {list(stages)} must be at least one number of 0 or more")
        self.stages = tuple(stages)

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> StageDraws:
        """See Policy: the stage."""
        stage = self.stages[int(rng.integers(len(self.stages)))]
        return StageDraws(stage, pair_weights(lam, shape.images))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: StageDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; images or features are mixed, by the stage."""
        weights = draws.weights
        if draws.stage == 0:
            return two_parents(linear(images, pairing.select(others), weights), pairing, weights)
        features = FeatureMix(draws.stage, lambda own, partner: linear(own, partner, weights))
        return two_parents(images, pairing, weights, features=features)
