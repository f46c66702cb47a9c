"""Saliency Grafting (Park et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, complemented
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents


class GraftDraws(NamedTuple):
    """uniform (N, 1, n, n) in [0, 1), whose size selects the graph; scale, (1 - lam) times the regions."""

    uniform: Tensor
    scale: Tensor


class SaliencyGrafting(Policy):
    """Random regions of `second`, salient ones more often, replace those of `first`; weights by saliency.

    The grid of regions is n x n, n drawn from `grids` for each batch. A region is taken with probability
    min(1, (1 - lam) n^2 p), p the softmax over regions of their mean saliency, scaled to a largest value of
    1, over the temperature: the expected share of `second` is 1 - lam, or less if a probability is clipped.
    The weight of a parent is the L2 norm of its saliency in its own regions over that of all its saliency,
    and the two weights are normalised to sum 1. The scale of the saliency in the softmax, the clipping, the
    norm and the grids are this project's reading of the paper, not compared with its code.
    """

    cost = "saliency"
    requires = frozenset({"feature_saliency"})

    def __init__(self, grids: Sequence[int] = (1, 2, 4, 8), temperature: float = 0.2) -> None:
        """Raises: ConfigError for no grid or one below 1, or a temperature that is not positive."""
        super().__init__()
        if not grids or min(grids) < 1:
            raise ConfigError(f"SaliencyGrafting: grids {list(grids)} must be whole numbers from 1 on")
        if not temperature > 0:
            raise ConfigError(f"SaliencyGrafting: temperature {temperature} must be positive")
        self.grids = tuple(grids)
        self.temperature = temperature

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> GraftDraws:
        """See Policy: the grid, then a uniform number for each region.

        An image with fewer rows or columns than the drawn grid has one region per row or column.
        """
        n = int(rng.choice(self.grids))
        grid = (min(n, shape.height), min(n, shape.width))
        uniform = torch.from_numpy(rng.random((shape.images, 1, *grid), dtype=np.float32))
        return GraftDraws(uniform, torch.tensor((1 - float(lam)) * grid[0] * grid[1]))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: GraftDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the mask is 0 or 1. Raises: ValueError if the saliency is missing."""
        if info.first.feature_saliency is None or info.second.feature_saliency is None:
            raise ValueError("SaliencyGrafting requires the feature saliency of both parents")
        own, other = (_scaled(one.feature_saliency) for one in info)  # type: ignore[arg-type]
        taken = (draws.uniform < self._chances(other, draws)).float()
        grafted = F.interpolate(taken, (images.shape[2], images.shape[3]), mode="nearest")
        mask = 1 - grafted
        kept, given = _length(own * mask) / _length(own), _length(other * grafted) / _length(other)
        mixed = torch.where(mask.bool(), images, pairing.select(others))
        return two_parents(mixed, pairing, complemented(kept / (kept + given)), mask)

    def _chances(self, saliency: Tensor, draws: GraftDraws) -> Tensor:
        """(N, 1, n, n) in [0, 1]: the probability with which each region is taken."""
        grid = (draws.uniform.shape[2], draws.uniform.shape[3])
        regions = F.adaptive_avg_pool2d(saliency, grid).flatten(1)
        regions = regions / regions.amax(1, keepdim=True)
        p = F.softmax(regions / self.temperature, dim=1).view(-1, 1, *grid)
        return (draws.scale * p).clamp(max=1)


def _scaled(saliency: Tensor) -> Tensor:
    """Saliency (N, 1, H, W) with largest value 1 and no zeros: gradients may be of any scale."""
    saliency = saliency.float()
    return saliency / saliency.amax((2, 3), keepdim=True).clamp(min=1e-30) + 1e-6


def _length(x: Tensor) -> Tensor:
    return x.square().sum((1, 2, 3)).sqrt()
