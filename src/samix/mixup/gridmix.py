"""GridMix: the open-source form with a grid of holes, and that of the paper (Baek et al., 2021)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Policy, Ratio, blend
from samix.mixup.boxes import mask_outside_product, to_device, weights


class GridMix(Policy):
    """Regular pieces of `second` in `first`; lam becomes the true share of `first`.

    form "holes": a grid of square holes, sized by lam, inside a random crop; `second` shows through them.
    form "cells", the paper's without its loss on patches: each of `cells` x `cells` cells of the image is
    from `first` with probability lam.
    """

    cost: ClassVar[Cost] = "S"
    per_sample = True

    def __init__(self, form: Literal["holes", "cells"] = "holes", cells: int = 4) -> None:
        """Raises: ConfigError for less than one cell a side."""
        super().__init__()
        if cells < 1:
            raise ConfigError(f"GridMix: cells {cells} must be at least 1")
        self.form = form
        self.cells = cells

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with its mask, one a batch or one a lam."""
        lams = lam if isinstance(lam, np.ndarray) else [lam]
        if self.form == "cells":
            kept = np.stack([self._cells(first, one, generator) for one in lams])
            mask, shares = to_device(kept, first)[:, None].expand(len(first), -1, -1, -1), kept.mean((1, 2))
        else:
            holes = [_holes(first, one, generator) for one in lams]
            rows, columns = (np.stack(stripes) for stripes in zip(*holes, strict=True))
            mask, shares = mask_outside_product(rows, columns, first), 1 - rows.mean(1) * columns.mean(1)
        share = weights(shares if isinstance(lam, np.ndarray) else float(shares[0]), first)
        return Mixed(blend(first, second, mask), share, mask)

    def _cells(self, images: Tensor, lam: float, generator: np.random.Generator) -> np.ndarray:
        """(H, W) bools: what is from `first`."""
        kept = generator.random((self.cells, self.cells)) < lam
        rows, columns = (np.arange(size) * self.cells // size for size in images.shape[-2:])
        inside: np.ndarray = kept[rows][:, columns]
        return inside


def _holes(images: Tensor, lam: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows (H,) and columns (W,) at which `second` shows through, bools.

    A crop of U(0.5, 1) of the area is divided into 2 to 6 square patches across and as many rows of them
    as fit, the last one cut; each has a hole in its upper left corner, at least 1 pixel and 1 less than it.

    The crop is clamped to the image, and a crop too narrow for patches of 2 pixels gets fewer of them.
    """
    height, width = images.shape[-2:]
    area, aspect = generator.uniform(0.5, 1) * height * width, generator.uniform(0.5, 2)
    across = int(generator.integers(2, 7))
    crop_width = int(math.sqrt(area / aspect))
    crop_height = min(int(crop_width * aspect), height)
    crop_width = min(crop_width, width)
    patch = max(1, math.ceil(crop_width / max(1, min(across, crop_width // 2))))
    hole = min(max(int(patch * math.sqrt(1 - lam)), 1), patch - 1)
    columns = _stripes(width, crop_width, patch, hole, generator)
    return _stripes(height, crop_height, patch, hole, generator), columns


def _stripes(size: int, crop: int, patch: int, hole: int, generator: np.random.Generator) -> np.ndarray:
    """(size,) bools: the first `hole` of every `patch` places of a crop that lies anywhere."""
    place = np.arange(size) - int((size - crop) * generator.random())
    return (place >= 0) & (place < crop) & (place % patch < hole)
