"""SMMix, only its mixing of images (Chen et al., 2023)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import ImageInfo, Mixed, PairInfo, Policy, two_parents
from samix.mixup.tokens import attention_to, backbone_grid, check_patch, flipped


class WindowDraws(NamedTuple):
    """side of the windows in patches, which selects the graph; weights (2, N)."""

    side: int
    weights: Tensor


class SMMix(Policy):
    """The window of `second` with the most attention covers the window of `first` with the least.

    Windows have r x r patches, r drawn per batch, uniform from a quarter to three quarters of the shorter
    side of the grid (3 to 10 of 14). The window with the largest sum of attention in `second` is pasted over
    the one with the smallest sum in `first`; of equal sums the first counts. The given lam is not used; the
    weight of `first` is its true share. Partners are the batch in reverse order. The paper's two further
    losses, on tokens of the regions and on features of the clean images, are not implemented: they do not mix
    images.
    """

    cost = "attention"
    requires = frozenset({"attention"})
    chooses_partners = True

    def __init__(self, patch: int = 16) -> None:
        """patch: side of a patch in pixels, for use without a transformer. Raises: ConfigError below 1."""
        super().__init__()
        check_patch(patch, "SMMix")
        self.patch = patch

    def choose_partners(self, info: ImageInfo, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """The batch in reverse order."""
        return flipped(n, device)

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> WindowDraws:  # noqa: ARG002
        """See Policy: the side of the windows. Raises: ConfigError if patches do not divide the images."""
        grid = backbone_grid(shape, self.patch, "SMMix")
        shorter = min(grid)
        low, high = max(1, shorter // 4), max(1, shorter * 3 // 4)
        side = int(rng.integers(low, high + 1))
        return WindowDraws(side, pair_weights(1 - side**2 / (grid[0] * grid[1]), shape.images))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: WindowDraws, info: PairInfo
    ) -> Mixed:
        """See Policy. Raises: ValueError if the attention is missing."""
        target, source = attention_to(info.first, "SMMix"), attention_to(info.second, "SMMix")
        second, side = pairing.select(others), draws.side
        grid = (target.shape[2], target.shape[3])
        covered = F.avg_pool2d(target, side, stride=1).flatten(1).argmin(1)
        pasted = F.avg_pool2d(source, side, stride=1).flatten(1).argmax(1)
        across = grid[1] - side + 1
        height, width = images.shape[-2:]
        patch = (height // grid[0], width // grid[1])
        rows, down = _moved(height, covered // across, pasted // across, side, patch[0])
        columns, right = _moved(width, covered % across, pasted % across, side, patch[1])
        box = rows[:, None, :, None] & columns[:, None, None, :]
        shape = second.shape
        moved = second.gather(2, down[:, None, :, None].expand(shape))
        moved = moved.gather(3, right[:, None, None, :].expand(shape))
        mixed = torch.where(box, moved, images)
        return two_parents(mixed, pairing, draws.weights, (~box).float())


def _moved(size: int, to: Tensor, origin: Tensor, side: int, patch: int) -> tuple[Tensor, Tensor]:
    """Move windows of `side` patches, on an axis of `size` pixels, from patch `origin` (N,) to `to` (N,).

    Returns: the pixels that they cover there, bools (N, size), and the source pixel of each pixel (N, size).
    """
    place = torch.arange(size, device=to.device)
    away = place - to[:, None] * patch
    return (away >= 0) & (away < side * patch), (away + origin[:, None] * patch).clamp(0, size - 1)
