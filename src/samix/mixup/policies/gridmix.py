"""GridMix: the open-source form with a grid of holes, and the form of the paper (Baek et al., 2021)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import as_float32, outside
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents


class MaskDraws(NamedTuple):
    """mask (n, 1, H, W) of the first parents, n = N, or 1 for one mask for all samples; weights (2, N)."""

    mask: Tensor
    weights: Tensor


class GridMix(Policy):
    """Regular pieces of `second` in `first`; the weight of `first` is its true share of the pixels.

    form "holes": a grid of square holes, sized by lam, inside a random crop; `second` shows through them.
    form "cells", the paper's without its loss on patches: each of the `cells` x `cells` cells of the image
    comes from `first` with probability lam.
    """

    cost = "static"
    per_sample = True

    def __init__(self, form: Literal["holes", "cells"] = "holes", cells: int = 4) -> None:
        """Raises: ConfigError for less than one cell per side."""
        super().__init__()
        if cells < 1:
            raise ConfigError(f"GridMix: cells {cells} must be at least 1")
        self.form = form
        self.cells = cells

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> MaskDraws:
        """See Policy: a mask per batch, or one per sample with a lam per sample."""
        lams = lam if isinstance(lam, np.ndarray) else [lam]
        if self.form == "cells":
            kept = np.stack([self._cells(shape, one, rng) for one in lams])
            mask, shares = as_float32(kept)[:, None], kept.mean((1, 2))
        else:
            holes = [_holes(shape, one, rng) for one in lams]
            rows, columns = (np.stack(stripes) for stripes in zip(*holes, strict=True))
            mask, shares = outside(*map(as_float32, (rows, columns))), 1 - rows.mean(1) * columns.mean(1)
        share = shares if isinstance(lam, np.ndarray) else float(shares[0])
        return MaskDraws(mask, pair_weights(share, shape.images))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: MaskDraws, info: PairInfo
    ) -> Mixed:
        """See Policy."""
        return mixed_by_mask(images, others, pairing, draws)

    def _cells(self, shape: BatchShape, lam: float, rng: np.random.Generator) -> np.ndarray:
        """(H, W) bools: the pixels of `first`."""
        kept = rng.random((self.cells, self.cells)) < lam
        rows, columns = (np.arange(size) * self.cells // size for size in (shape.height, shape.width))
        inside: np.ndarray = kept[rows][:, columns]
        return inside


def mixed_by_mask(images: Tensor, others: Tensor, pairing: Pairing, draws: MaskDraws) -> Mixed:
    """Images (N, 3, H, W) and their partners blended by a mask that was drawn."""
    mask = draws.mask.expand(len(images), -1, -1, -1)
    return two_parents(blend(images, pairing.select(others), mask), pairing, draws.weights, mask)


def _holes(shape: BatchShape, lam: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows (H,) and columns (W,) at which `second` shows through, bools.

    A crop with a share U(0.5, 1) of the area is divided into 2 to 6 square patches across and as many rows of
    patches as fit, the last one cut. Each patch has a hole in its upper left corner, whose side is at least 1
    pixel and at least 1 pixel less than that of the patch.

    The crop is clamped to the image; a crop too narrow for patches of 2 pixels has fewer patches.
    """
    height, width = shape.height, shape.width
    area, aspect = rng.uniform(0.5, 1) * height * width, rng.uniform(0.5, 2)
    across = int(rng.integers(2, 7))
    crop_width = int(math.sqrt(area / aspect))
    crop_height = min(int(crop_width * aspect), height)
    crop_width = min(crop_width, width)
    patch = max(1, math.ceil(crop_width / max(1, min(across, crop_width // 2))))
    hole = min(max(int(patch * math.sqrt(1 - lam)), 1), patch - 1)
    columns = _stripes(width, crop_width, patch, hole, rng)
    return _stripes(height, crop_height, patch, hole, rng), columns


def _stripes(size: int, crop: int, patch: int, hole: int, rng: np.random.Generator) -> np.ndarray:
    """(size,) bools: the first `hole` of every `patch` places of a crop at a uniform position."""
    place = np.arange(size) - int((size - crop) * rng.random())
    return (place >= 0) & (place < crop) & (place % patch < hole)
