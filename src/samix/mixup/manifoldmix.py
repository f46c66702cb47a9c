"""Manifold Mixup (Verma et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Inside, Mixed, Policy, Ratio
from samix.mixup.boxes import weights
from samix.mixup.mixup import linear


class ManifoldMix(Policy):
    """Mixup of the features after a stage that is drawn for each batch, or of the images themselves.

    stages: those that come up, equally often; 0, the images; k, the k-th stage of the network. The published
    figures have (0, 1, 2), those of WRN-28-8 (0, 1).
    """

    cost: ClassVar[Cost] = "S"
    inside = "features"
    per_sample = True

    def __init__(self, stages: Sequence[int] = (0, 1, 2)) -> None:
        """Raises: ConfigError for no stage or one below 0."""
        super().__init__()
        if not stages or min(stages) < 0:
            raise ConfigError(f"ManifoldMix: stages {list(stages)} must be at least one number of 0 or more")
        self.stages = tuple(stages)

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed without a mask, its images or features mixed."""
        stage = self.stages[int(generator.integers(len(self.stages)))]
        share = weights(lam, first)
        if stage == 0:
            return Mixed(linear(first, second, share), share)
        return Mixed(first, share, inside=Inside(stage, lambda own, partner: linear(own, partner, share)))
