"""MixPro: MaskMix with progressive attention labelling (Zhao et al., 2023)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Answer, Cost, Guides, Mixed, Need, Outcome, Policy, blend
from samix.mixup.tokens import Grid, attention_to, in_pixels, share_inside


class MixPro(Policy):
    """Random large cells of each image come from `first`, the others from `second`; labels learn to follow
    attention.

    Of the cells, ceil(lam times their number) are from `first`, others for each sample. lam becomes c times
    the share of the clean first image's attention inside its cells and 1 - c times the share of the cells;
    c is the cosine of the prediction and the label by cells, smoothed: the better the network predicts
    the mix, the more its attention is believed.

    cells: how many a side; they are whole patches and the last ones may be cut, 4 are 64 pixels each of 224
    in patches of 16. smoothing: eps of the smoothed label.
    """

    cost: ClassVar[Cost] = "V"
    needs: frozenset[Need] = frozenset({"labels", "attention"})
    after: frozenset[Answer] = frozenset({"logits"})

    def __init__(self, cells: int = 4, smoothing: float = 0.1) -> None:
        """Raises: ConfigError for less than one cell a side, or a smoothing outside [0, 1]."""
        super().__init__()
        if cells < 1:
            raise ConfigError(f"MixPro: cells {cells} must be at least 1")
        if not 0 <= smoothing <= 1:
            raise ConfigError(f"MixPro: smoothing {smoothing} must be in [0, 1]")
        self.cells = cells
        self.smoothing = smoothing

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], labels of both parents and attention of the first -> Mixed with
        its mask and lam the share of cells; `relabel` gives lam (N,).

        Raises: ValueError where labels or attention are missing; ConfigError for images that are no whole
        patches.
        """
        if guides.first.labels is None or guides.second.labels is None:
            raise ValueError("MixPro needs the labels of both parents")
        attention = attention_to(guides.first, first, "MixPro")
        grid = (attention.shape[2], attention.shape[3])
        kept, share = self._draw(len(first), grid, lam, generator)
        patches = torch.from_numpy(kept.astype(np.float32)).to(first.device, non_blocking=True)[:, None]
        mask = in_pixels(patches, first)
        mixed = Mixed(blend(first, second, mask), share, mask)
        labels = guides.first.labels, guides.second.labels
        return replace(
            mixed, relabel=partial(self._weighed, mixed, share, share_inside(patches, attention), labels)
        )

    def _draw(
        self, n: int, grid: Grid, lam: float, generator: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """Patches (n, h, w) of the first, bools, and the share of cells."""
        sides = [math.ceil(size / self.cells) for size in grid]
        rows, columns = (math.ceil(size / side) for size, side in zip(grid, sides, strict=True))
        count = math.ceil(rows * columns * lam)
        # the places of the `count` smallest of a random order
        kept = generator.random((n, rows * columns)).argsort(1) < count
        patches = kept.reshape(n, rows, columns).repeat(sides[0], 1).repeat(sides[1], 2)
        return patches[:, : grid[0], : grid[1]], count / (rows * columns)

    def _weighed(
        self, mixed: Mixed, area: float, looked: Tensor, labels: tuple[Tensor, Tensor], outcome: Outcome
    ) -> Mixed:
        """area: share of cells; looked (N,): of attention; labels of both parents, each (N,)."""
        if outcome.logits is None:
            raise ValueError("MixPro needs the logits of the mixed images")
        logits = outcome.logits.float()
        target = torch.full_like(logits, self.smoothing / logits.shape[1])
        for label, weight in zip(labels, (area, 1 - area), strict=True):
            target.scatter_add_(
                1, label[:, None], torch.full_like(logits[:, :1], (1 - self.smoothing) * weight)
            )
        trust = F.cosine_similarity(logits.softmax(1), target)
        return replace(mixed, lam=trust * looked + (1 - trust) * area)
