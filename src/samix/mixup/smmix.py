"""SMMix, its mixing of images (Chen et al., 2023)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.mixup.base import Cost, Guides, Mixed, Need, Policy, Seen
from samix.mixup.tokens import attention_to, flipped


class SMMix(Policy):
    """What the network looks at most in `second` covers what it looks at least in `first`.

    Windows of r x r patches, r uniform from a quarter to three quarters of the shorter side of the grid (3 to
    10 of 14), one a batch: the one with the largest sum of attention in `second` is pasted over the one with
    the smallest sum in `first`, the first of equals. The given lam is not used; that of the result is the
    true share of `first`. The partner is that of the batch in reverse order. The paper's two further losses,
    on tokens of the regions and on the features of the clean images, are no mixing and not built.
    """

    cost: ClassVar[Cost] = "V"
    needs: frozenset[Need] = frozenset({"attention"})

    def partners(self, seen: Seen, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """The batch in reverse order."""
        return flipped(n, device)

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), attention of both parents -> Mixed with lam, one a batch, and its mask.

        Raises: ValueError where the attention is missing; ConfigError for images that are no whole patches.
        """
        target = attention_to(guides.first, first, "SMMix")
        source = attention_to(guides.second, second, "SMMix")
        grid = (target.shape[2], target.shape[3])
        shorter = min(grid)
        low, high = max(1, shorter // 4), max(1, shorter * 3 // 4)
        side = int(generator.integers(low, high + 1))
        covered = F.avg_pool2d(target, side, stride=1).flatten(1).argmin(1)
        pasted = F.avg_pool2d(source, side, stride=1).flatten(1).argmax(1)
        across = grid[1] - side + 1
        height, width = first.shape[-2:]
        patch = (height // grid[0], width // grid[1])
        rows, down = _moved(height, covered // across, pasted // across, side, patch[0])
        columns, right = _moved(width, covered % across, pasted % across, side, patch[1])
        box = rows[:, None, :, None] & columns[:, None, None, :]
        shape = second.shape
        moved = second.gather(2, down[:, None, :, None].expand(shape))
        moved = moved.gather(3, right[:, None, None, :].expand(shape))
        return Mixed(torch.where(box, moved, first), 1 - side**2 / (grid[0] * grid[1]), (~box).float())


def _moved(size: int, to: Tensor, origin: Tensor, side: int, patch: int) -> tuple[Tensor, Tensor]:
    """Along one axis of `size` pixels, windows of `side` patches that begin at patch `origin` (N,) move to
    patch `to` (N,): which pixels they cover then, bools (N, size), and which pixel comes to each (N, size).
    """
    place = torch.arange(size, device=to.device)
    away = place - to[:, None] * patch
    return (away >= 0) & (away < side * patch), (away + origin[:, None] * patch).clamp(0, size - 1)
