"""Momentum networks, moving averages of weights: frozen copies that follow their originals (MoCo, eq. 2)."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """A copy whose parameters take no gradient; its buffers, such as BatchNorm's, are independent."""
    twin = copy.deepcopy(module)
    twin.requires_grad_(False)
    return twin


@torch.no_grad()
def ema_(target: nn.Module, source: nn.Module, m: float, *, buffers: bool = False) -> None:
    """target <- m * target + (1 - m) * source, in one fused call.

    Without `buffers`, parameters only: the momentum network keeps its own running statistics, as in the
    released code. With `buffers`, those of floating point are averaged as well, and integer ones are copied.
    """
    slow: list[Tensor] = list(target.parameters())
    fast: list[Tensor] = list(source.parameters())
    if buffers:
        pairs = list(zip(target.buffers(), source.buffers(), strict=True))
        slow += [own for own, _ in pairs if own.is_floating_point()]
        fast += [other for _, other in pairs if other.is_floating_point()]
        for own, other in pairs:
            if not own.is_floating_point():
                own.copy_(other)
    # a private name, but the fused kernel that timm and lightly call as well
    torch._foreach_lerp_(slow, fast, 1.0 - m)
