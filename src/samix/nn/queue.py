"""MoCo's queue of negative keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class KeyQueue(nn.Module):
    """First-in, first-out memory of `size` keys of `width`, equal on all ranks and part of the state.

    Starts as normalised Gaussian noise drawn from `generator` (MoCo). `index` (size,) contains the image of
    each key, -1 for noise, so that labels that change are looked up when they are used.
    """

    keys: Tensor
    index: Tensor
    position: Tensor

    def __init__(self, size: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(size, width, generator=generator), dim=1))
        self.register_buffer("index", torch.full((size,), -1))
        self.register_buffer("position", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, keys: Tensor, index: Tensor) -> None:
        """Replace the oldest entries by `keys` (n, width) of images `index` (n,), n <= size, of all ranks."""
        # index arithmetic on the device: reading `position` would make the host wait
        rows = (self.position + torch.arange(len(keys), device=keys.device)) % len(self.keys)
        self.keys.index_copy_(0, rows, keys.to(self.keys.dtype))
        self.index.index_copy_(0, rows, index)
        self.position.add_(len(keys)).remainder_(len(self.keys))
