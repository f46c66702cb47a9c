"""Where a training run stands: the only source of randomness inside a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from samix.core.random import generator_for, numpy_generator_for


@dataclass(frozen=True)
class StepContext:
    """One training step: seed, 0-based global step and epoch, totals, and who and where we are."""

    seed: int
    step: int
    total_steps: int
    epoch: int
    rank: int = 0
    world_size: int = 1
    device: torch.device = torch.device("cpu")

    def generator(self, purpose: str) -> torch.Generator:
        """Stream of this rank at this step, on the training device."""
        return generator_for(self.seed, purpose, self.step, self.rank, device=self.device)

    def shared_generator(self, purpose: str) -> torch.Generator:
        """Stream that is equal on all ranks at this step, on the CPU."""
        return generator_for(self.seed, purpose, self.step)

    def numpy_generator(self, purpose: str) -> np.random.Generator:
        """Stream of this rank at this step for scalars such as lam; no device is touched."""
        return numpy_generator_for(self.seed, purpose, self.step, self.rank)

    def shared_numpy_generator(self, purpose: str) -> np.random.Generator:
        """Stream for scalars that is equal on all ranks at this step."""
        return numpy_generator_for(self.seed, purpose, self.step)


class BatchShape(NamedTuple):
    """Sizes of one rank's batch, which are known before the step.

    images N; height and width of the images in pixels; grid, rows and columns of the backbone's patches, None
    if it has none; features, (C, h, w) after the stem and after each stage, empty unless a policy mixes maps.
    """

    images: int
    height: int
    width: int
    grid: tuple[int, int] | None = None
    features: tuple[tuple[int, int, int], ...] = ()
