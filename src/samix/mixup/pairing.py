"""The partner of each image."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core import distributed


class Pairing(NamedTuple):
    """One permutation, used for images, maps and targets alike.

    index (n,): rows of the partners of this rank's rows, counted in the global batch, or with
    everywhere=False in this rank's own.
    """

    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which a pairing does not need
    everywhere: bool = True

    def select(self, x: Any) -> Any:
        """The partners' rows of a tensor (n, ...), of None, or of a named tuple of these.

        There is no gradient across ranks.
        """
        if x is None:
            return None
        if isinstance(x, tuple):
            return type(x)(*(self.select(part) for part in x))
        return _rows(distributed.all_gather(x) if self.everywhere else x, self.index)

    @property
    def across_ranks(self) -> bool:
        """Whether partners may be images of other ranks, so that `select` gathers."""
        return self.everywhere and distributed.world_size() > 1

    def with_own(self, n: int) -> Tensor:
        """(2, n): the rows themselves, counted as `index` counts, and their partners."""
        start = distributed.rank() * n if self.everywhere else 0
        return torch.stack([torch.arange(start, start + n, device=self.index.device), self.index])


def _rows(x: Tensor, index: Tensor) -> Tensor:
    """x[index] in the layout of x; on a CPU several times faster than that (benchmarks/changes.py)."""
    if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return x.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
    return x.index_select(0, index)


def draw_pairing(n: int, generator: torch.Generator) -> Pairing:
    """Pair `n` rows of each rank over the global batch so that no image meets itself.

    Redraws up to 10 times until the permutation has no fixed point, then takes a cyclic shift (SAMix,
    no-repeat). `generator` must be in the same state on all ranks.

    Raises: ValueError for a global batch of 1.
    """
    total = n * distributed.world_size()
    return Pairing(distributed.local_rows(_derangement(total, generator)))


def draw_local_pairing(n: int, generator: torch.Generator, *, no_repeat: bool) -> Pairing:
    """Pair `n` rows of this rank among themselves, as supervised mixup does.

    no_repeat False: any permutation, an image may meet itself. Raises: ValueError for no_repeat and n = 1.
    """
    index = _derangement(n, generator) if no_repeat else torch.randperm(n, generator=generator)
    return Pairing(index, everywhere=False)


def _derangement(total: int, generator: torch.Generator) -> Tensor:
    if total < 2:
        raise ValueError("mixing requires at least two images in the batch")
    own = np.arange(total)
    for _ in range(10):
        index = torch.randperm(total, generator=generator)
        if not (index.numpy() == own).any():
            return index
    (shift,) = torch.randint(1, max(2, total - 1), (1,), generator=generator).tolist()
    return torch.arange(total).roll(shift)
