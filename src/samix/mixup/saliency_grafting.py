"""Saliency Grafting (Park et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Need, Policy


class SaliencyGrafting(Policy):
    """Random regions of `second`, salient ones more often, replace those of `first`; labels go by saliency.

    The grid of regions is n x n, n drawn from `grids` for each batch. A region is taken with probability
    min(1, (1 - lam) n^2 p), p the softmax over regions of their mean saliency, the largest being 1, over the
    temperature: the expected share of `second` is 1 - lam, less where a probability is cut. The weight of a
    parent is the length (L2) of its saliency in its own regions, relative to the length of all of it, and
    the two are made to sum up to 1. The scale of the saliency in the softmax, the cut, the length and the
    grids are this project's reading of the paper, not checked against its code.
    """

    cost: ClassVar[Cost] = "L"
    needs: frozenset[Need] = frozenset({"feature_saliency"})

    def __init__(self, grids: Sequence[int] = (1, 2, 4, 8), temperature: float = 0.2) -> None:
        """Raises: ConfigError for no grid or one below 1, or a temperature that is not positive."""
        super().__init__()
        if not grids or min(grids) < 1:
            raise ConfigError(f"SaliencyGrafting: grids {list(grids)} must be whole numbers from 1 on")
        if not temperature > 0:
            raise ConfigError(f"SaliencyGrafting: temperature {temperature} must be positive")
        self.grids = tuple(grids)
        self.temperature = temperature

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], saliency of both -> Mixed with lam (N,) and a mask of 0 and 1.

        Images that are smaller than the drawn grid have a region for each row or column.
        Raises: ValueError where the saliency is missing.
        """
        if guides.first.feature_saliency is None or guides.second.feature_saliency is None:
            raise ValueError("SaliencyGrafting needs the feature saliency of both parents")
        own, other = (_scaled(seen.feature_saliency) for seen in guides)  # type: ignore[arg-type]
        height, width = first.shape[-2:]
        n = int(generator.choice(self.grids))
        grid = (min(n, height), min(n, width))
        drawn = generator.random((len(first), 1, *grid), dtype=np.float32)
        uniform = torch.from_numpy(drawn).to(first.device, non_blocking=True)
        taken = (uniform < self._chances(other, grid, lam)).float()
        grafted = F.interpolate(taken, (height, width), mode="nearest")
        mask = 1 - grafted
        kept, given = _length(own * mask) / _length(own), _length(other * grafted) / _length(other)
        return Mixed(torch.where(mask.bool(), first, second), kept / (kept + given), mask)

    def _chances(self, saliency: Tensor, grid: tuple[int, int], lam: float) -> Tensor:
        """(N, 1, n, n) in [0, 1]: how probably each region is taken."""
        regions = F.adaptive_avg_pool2d(saliency, grid).flatten(1)
        regions = regions / regions.amax(1, keepdim=True)
        p = F.softmax(regions / self.temperature, dim=1).view(-1, 1, *grid)
        return ((1 - lam) * grid[0] * grid[1] * p).clamp(max=1)


def _scaled(saliency: Tensor) -> Tensor:
    """Saliency (N, 1, H, W) whose largest value is 1, and none is 0: gradients may be of any size."""
    saliency = saliency.float()
    return saliency / saliency.amax((2, 3), keepdim=True).clamp(min=1e-30) + 1e-6


def _length(x: Tensor) -> Tensor:
    return x.square().sum((1, 2, 3)).sqrt()
