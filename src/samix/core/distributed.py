"""The collective operations that learners need; with one process, each is the identity."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def rank() -> int:
    """Rank of this process, 0 outside a process group."""
    return dist.get_rank() if _grouped() else 0


def world_size() -> int:
    """Number of processes, 1 outside a process group."""
    return dist.get_world_size() if _grouped() else 1


def all_gather(x: Tensor) -> Tensor:
    """Concatenate (n, ...) of every rank, in rank order, to (world_size * n, ...). No gradient."""
    if world_size() == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def local_rows(x: Tensor) -> Tensor:
    """This rank's share of a tensor whose rows are the global batch in rank order."""
    n = len(x) // world_size()
    return x[rank() * n : (rank() + 1) * n]


def _grouped() -> bool:
    return dist.is_available() and dist.is_initialized()
