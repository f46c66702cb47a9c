"""Momentum networks: frozen copies that follow their originals (MoCo, eq. 2)."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def momentum_copy(module: Module) -> Module:
    """A copy whose parameters take no gradient; buffers such as BatchNorm's are its own from then on."""
    twin = copy.deepcopy(module)
    twin.requires_grad_(False)
    return twin


@torch.no_grad()
def ema_(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """target <- momentum * target + (1 - momentum) * source, parameters only, in one fused call.

    Buffers stay: the momentum network keeps its own running statistics, as in the reference code.
    """
    # the private name is the fused kernel that timm and lightly call as well
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), 1.0 - momentum)
