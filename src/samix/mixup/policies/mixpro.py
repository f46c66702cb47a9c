"""MixPro: MaskMix with progressive attention labelling (Zhao et al., 2023)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import as_float32
from samix.mixup.lam import Ratio, complemented, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, ModelOutputs, PairInfo, Policy, blend, two_parents
from samix.mixup.tokens import Grid, attention_to, backbone_grid, check_patch, in_pixels, share_inside


class PatchDraws(NamedTuple):
    """kept (N, 1, h, w), 1 for patches of the first; weights (2, N), the areas of the cells; smoothed (2, N),
    weights times 1 - smoothing.
    """

    kept: Tensor
    weights: Tensor
    smoothed: Tensor


class MixPro(Policy):
    """Random large cells of each image come from `first`, the others from `second`; labels follow attention
    as the network learns.

    ceil(lam * number of cells) cells come from `first`, drawn for each sample. The weight of `first` is c
    times the share of the clean first image's attention inside its cells, plus 1 - c times the share of the
    cells; c is the cosine of the prediction and the smoothed label by cells: the better the network predicts
    the mix, the more its attention counts.

    cells: number per side. Cells consist of whole patches, and the last ones may be cut; for 224 pixels and
    patches of 16, 4 cells per side have 64 pixels each. smoothing: eps of the smoothed label. patch: side of
    a patch in pixels, used if the backbone is not a transformer.
    """

    cost = "attention"
    requires = frozenset({"labels", "attention"})
    requires_outputs = frozenset({"logits"})

    def __init__(self, cells: int = 4, smoothing: float = 0.1, patch: int = 16) -> None:
        """Raises: ConfigError for cells or a patch below 1, or a smoothing outside [0, 1]."""
        super().__init__()
        check_patch(patch, "MixPro")
        if cells < 1:
            raise ConfigError(f"MixPro: cells {cells} must be at least 1")
        if not 0 <= smoothing <= 1:
            raise ConfigError(f"MixPro: smoothing {smoothing} must be in [0, 1]")
        self.cells = cells
        self.smoothing = smoothing
        self.patch = patch

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> PatchDraws:
        """See Policy: the cells of each sample. Raises: ConfigError if patches do not divide the images."""
        grid = backbone_grid(shape, self.patch, "MixPro")
        kept, share = self._cells(shape.images, grid, float(lam), rng)
        pair = np.array([[share], [1 - share]])
        smoothed = as_float32((1 - self.smoothing) * pair).expand(2, shape.images)
        return PatchDraws(as_float32(kept)[:, None], pair_weights(share, shape.images), smoothed)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: PatchDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the weights, the share of the cells, are not final.

        Raises: ValueError if labels or attention are missing.
        """
        if info.first.labels is None or info.second.labels is None:
            raise ValueError("MixPro requires the labels of both parents")
        attention = attention_to(info.first, "MixPro")
        mask = in_pixels(draws.kept, images)
        mixed = blend(images, pairing.select(others), mask)
        labels = info.first.labels, info.second.labels
        state = share_inside(draws.kept, attention), labels, draws.smoothed
        return two_parents(mixed, pairing, draws.weights, mask, final=False, state=state)

    def _cells(self, n: int, grid: Grid, lam: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """Patches (n, h, w) of the first, bools, and the share of cells."""
        sides = [math.ceil(size / self.cells) for size in grid]
        rows, columns = (math.ceil(size / side) for size, side in zip(grid, sides, strict=True))
        count = math.ceil(rows * columns * lam)
        # the places of the `count` smallest of a random order
        kept = rng.random((n, rows * columns)).argsort(1) < count
        patches = kept.reshape(n, rows, columns).repeat(sides[0], 1).repeat(sides[1], 2)
        return patches[:, : grid[0], : grid[1]], count / (rows * columns)

    def reweight(self, mixed: Mixed, outputs: ModelOutputs) -> Tensor:
        """See Policy. Raises: ValueError if the logits are missing."""
        if outputs.logits is None:
            raise ValueError("MixPro requires the logits of the mixed images")
        attended, labels, smoothed = mixed.state
        logits = outputs.logits.float()
        target = torch.full_like(logits, self.smoothing / logits.shape[1])
        for label, weight in zip(labels, smoothed, strict=True):
            target.scatter_add_(1, label[:, None], weight[:, None])
        trust = F.cosine_similarity(logits.softmax(1), target)
        return complemented(trust * attended + (1 - trust) * mixed.weights[0])
