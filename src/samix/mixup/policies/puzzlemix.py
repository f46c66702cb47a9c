"""PuzzleMix (Kim et al., 2020)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.block_energy import Energy, descend, minimum_cut
from samix.mixup.block_transport import transported
from samix.mixup.lam import Ratio, complemented
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents
from samix.mixup.unit_range import Channels, UnitRange

_SMALL = 64
"""Largest side of small images, for which the published settings use finer blocks."""
_NEIGHBOUR = 4
"""Most pixels along a border that are averaged before two blocks are compared."""


class PuzzleDraws(NamedTuple):
    """blocks: number per side, which selects the graph; prior (labels,), eta / b^2 times the log probability
    of each label given lam.
    """

    blocks: int
    prior: Tensor


class PuzzleMix(Policy):
    """Blocks of `first` and `second` by a mask that keeps salient blocks and has few seams; blocks are then
    moved so that more saliency is kept. lam is the mean of each mask; the given lam only sets the prior.

    The grid has b x b blocks, b = 2^r, r uniform in 1 .. levels - 1 among those that divide both sides.
    """

    cost = "saliency"
    requires = frozenset({"saliency"})

    def __init__(
        self,
        levels: int | None = None,
        labels: int = 3,
        weights: tuple[float, float, float] = (1.2, 0.5, 0.2),
        price: float | None = 0.8,
        t_size: int | None = None,
        solver: Literal["cut", "descent"] = "cut",
        mean: Channels | None = None,
        std: Channels | None = None,
    ) -> None:
        """Args:
        levels: None, as published: 5 for sides up to 64 pixels, else 4.
        labels: number of values of the mask, 0, 1 / (labels - 1), ..., 1.
        weights: beta, of seams in the mask; gamma, at most 1, of seams in the image, relative to beta; eta,
            of the prior.
        price: of moving a block across the image, as a share of the image's saliency (t_eps); None: blocks
            do not move.
        t_size: side in pixels of the blocks that move, if smaller than the blocks of the mask; -1: the blocks
            of the mask; None, as published: 4 for sides up to 64 pixels, else -1.
        solver: "cut" finds the mask of least energy by a minimum cut on the host, which waits for the device;
            "descent" an approximation on the device, and the exact minimum if b = 2.
        mean, std: those used to normalise the images; without them each is stretched from its darkest to its
            lightest value before borders are compared.

        Raises: ConfigError for a value out of range.
        """
        super().__init__()
        self.beta, self.gamma, self.eta = weights
        self.range = UnitRange("PuzzleMix", mean, std)
        if (levels is not None and levels < 2) or labels < 2:
            raise ConfigError(f"PuzzleMix: levels {levels} and labels {labels} must be at least 2")
        if min(weights) < 0 or self.gamma > 1:
            raise ConfigError(f"PuzzleMix: weights {list(weights)} must be >= 0, the second at most 1")
        if solver not in ("cut", "descent"):
            raise ConfigError(f"PuzzleMix: solver {solver!r} must be cut or descent")
        if t_size is not None and t_size < 1 and t_size != -1:
            raise ConfigError(f"PuzzleMix: t_size {t_size} must be at least 1, or -1")
        self.levels = levels
        self.labels = labels
        self.price = price
        self.t_size = t_size
        self.host_solver = solver == "cut"

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> PuzzleDraws:
        """See Policy: the number of blocks. Raises: ConfigError for sides that are not even."""
        blocks, most = self._draw_blocks(shape.height, shape.width, rng), self.labels - 1
        logs = [_log_share(level, most, float(lam)) for level in range(self.labels)]
        return PuzzleDraws(blocks, torch.tensor([self.eta / blocks**2 * one for one in logs]))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: PuzzleDraws, info: PairInfo
    ) -> Mixed:
        """See Policy. Raises: ValueError if the saliency is missing."""
        own, other = info.first.saliency, info.second.saliency
        if own is None or other is None:
            raise ValueError("PuzzleMix requires the saliency of both parents")
        first, second, blocks = images, pairing.select(others), draws.blocks
        energy = self.energy(first, second, (own, other), blocks, draws.prior)
        found = minimum_cut(energy, 1000.0 * blocks**2) if self.host_solver else descend(energy)
        z = found.float() / (self.labels - 1)
        if self.price is not None:
            t = self._transport_blocks(first.shape[2], first.shape[3], blocks)
            shown = F.interpolate(z[:, None], (t, t), mode="nearest")[:, 0]
            first = transported(first, _pooled(own, t), shown > 0, self.price)
            second = transported(second, _pooled(other, t), shown < 1, self.price)
        mask = F.interpolate(z[:, None], (first.shape[2], first.shape[3]), mode="nearest")
        return two_parents(blend(first, second, mask), pairing, complemented(z.mean((1, 2))), mask)

    def energy(
        self, first: Tensor, second: Tensor, saliency: tuple[Tensor, Tensor], blocks: int, prior: Tensor
    ) -> Energy:
        """The energy of masks of blocks x blocks for images (N, 3, H, W), saliency (N, 1, H, W) of both and
        prior (labels,).

        The cost of a border in the image is linear in the labels on its two sides, plus a multiple of their
        squared difference: the former is added to the unary costs, the latter to the weights.
        """
        zero, one = (_pooled(seen, blocks) for seen in saliency)  # costs of z = 0 and z = 1: lost saliency
        beta = self.beta / (16 * blocks)
        looks = [_coarse(self.range.shown(part)[0], blocks) for part in (second, first)]
        weights = []
        for dim in (1, 2):
            # d[a][b]: the step between image a before the border and b behind it; 1 is the first image
            d = [[beta * self.gamma * _steps(a, b, dim, blocks) for b in looks] for a in looks]
            zero.narrow(dim, 0, blocks - 1).add_((d[0][1] + d[0][0]) / 2)
            one.narrow(dim, 0, blocks - 1).add_((d[1][0] + d[1][1]) / 2)
            zero.narrow(dim, 1, blocks - 1).add_((d[1][0] + d[0][0]) / 2)
            one.narrow(dim, 1, blocks - 1).add_((d[0][1] + d[1][1]) / 2)
            # never negative, as no step is above 1
            weights.append(beta + (d[1][0] + d[0][1] - d[1][1] - d[0][0]) / 2)
        parts = [level / (self.labels - 1) for level in range(self.labels)]
        costs = [zero + z * (one - zero) - likely for z, likely in zip(parts, prior, strict=True)]
        return Energy(torch.stack(costs, dim=3), *weights)

    def _draw_blocks(self, height: int, width: int, generator: np.random.Generator) -> int:
        levels = self.levels or (5 if max(height, width) <= _SMALL else 4)
        fitting = [2**r for r in range(1, levels) if height % 2**r == 0 and width % 2**r == 0]
        if not fitting:
            raise ConfigError(
                f"PuzzleMix: images of {height} x {width} pixels cannot be halved; give them even sides"
            )
        return int(generator.choice(fitting))

    def _transport_blocks(self, height: int, width: int, blocks: int) -> int:
        size = self.t_size or (4 if max(height, width) <= _SMALL else -1)
        t = min(height, width) // size
        return t if t > blocks and t % blocks == height % t == width % t == 0 else blocks


def _pooled(saliency: Tensor, blocks: int) -> Tensor:
    """(N, b, b), sum 1: saliency (N, 1, H, W) per block. Gradients may be of any scale, or all 0."""
    saliency = saliency.float()
    scaled = saliency / saliency.amax((2, 3), keepdim=True).clamp(min=1e-30) + 1e-12
    pooled = F.adaptive_avg_pool2d(scaled, (blocks, blocks))[:, 0]
    return pooled / pooled.sum((1, 2), keepdim=True)


def _coarse(images: Tensor, blocks: int) -> Tensor:
    """Images averaged over cells whose sides, at most 4 pixels, divide the sides of a block."""
    sides = [size // blocks for size in images.shape[2:]]
    kernel = [max(part for part in range(1, _NEIGHBOUR + 1) if side % part == 0) for side in sides]
    return F.avg_pool2d(images, kernel)


def _steps(before: Tensor, behind: Tensor, dim: int, blocks: int) -> Tensor:
    """Mean |difference| over channels and along each border, from images (N, 3, h, w).

    dim 1: (N, b - 1, b), from the last row of a block to the first row of the block below it; dim 2:
    (N, b, b - 1), from its last column to the first column of the block to its right.
    """
    side = before.shape[dim + 1] // blocks
    at = torch.arange(1, blocks, device=before.device) * side
    steps = (before.index_select(dim + 1, at - 1) - behind.index_select(dim + 1, at)).abs().mean(1)
    return F.adaptive_avg_pool2d(steps, (blocks - 1, blocks) if dim == 1 else (blocks, blocks - 1))


def _log_share(successes: int, trials: int, lam: float) -> float:
    """log of (binomial probability + 1e-8)."""
    chance = math.comb(trials, successes) * lam**successes * (1 - lam) ** (trials - successes)
    return math.log(chance + 1e-8)
