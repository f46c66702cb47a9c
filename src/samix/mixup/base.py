"""What every policy shares: the pairing, the ratio, the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from samix.core import distributed


@dataclass(frozen=True)
class Mixed:
    """What a policy gives.

    images (N, 3, H, W); lam, the share of the first parent in the label; mask (N, 1, H, W) of the first
    parent where the policy has one.
    """

    images: Tensor
    lam: float
    mask: Tensor | None = None


class Guides(NamedTuple):
    """Feature maps (N, C, h, w) of the first and of the second parents, for policies that look at them."""

    first: Tensor
    second: Tensor


class Policy(nn.Module, ABC):
    """How two images become one. Never shuffles, never touches labels, never changes its inputs."""

    needs_features = False
    """Whether the host has to give the maps of its momentum encoder."""

    def maps(self, images: Tensor, features: Tensor | None) -> Tensor | None:  # noqa: ARG002
        """What the policy wants to see of `images`; `features` are the host's maps of them, if any."""
        return features if self.needs_features else None

    @abstractmethod
    def forward(
        self,
        first: Tensor,
        second: Tensor,
        lam: float,
        *,
        generator: np.random.Generator,
        guides: Guides | None,
    ) -> Mixed:
        """Mix each image of `first` (N, 3, H, W) with its partner in `second`, `lam` the share of `first`."""


@dataclass(frozen=True)
class Pairing:
    """Who is mixed with whom: one permutation of the global batch, used for images, maps and targets alike.

    index (n,): rows of the global batch that are the partners of this rank's rows.
    """

    index: Tensor

    def of(self, x: Any) -> Any:
        """The partners' rows of a tensor (n, ...) or of a named tuple of such; no gradient across ranks."""
        if isinstance(x, tuple):
            return type(x)(*(self.of(part) for part in x))
        return distributed.all_gather(x)[self.index]


def draw_pairing(n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Pairing:
    """Pair `n` rows of each rank over the global batch so that no image meets itself.

    Redraws up to 10 times until the permutation has no fixed point, then takes a cyclic shift (SAMix,
    no-repeat). `generator` must be in the same state on all ranks.

    Raises: ValueError for a global batch of 1.
    """
    total = n * distributed.world_size()
    if total < 2:
        raise ValueError("mixing needs at least two images in the global batch")
    own = torch.arange(total)
    for _ in range(10):
        index = torch.randperm(total, generator=generator)
        if not bool((index == own).any()):
            break
    else:
        index = own.roll(int(torch.randint(1, max(2, total - 1), (), generator=generator)))
    return Pairing(distributed.local_rows(index).to(device))


def draw_lam(alpha: float, generator: np.random.Generator) -> float:
    """lam ~ Beta(alpha, alpha), a Python number: it is needed on the host and moves no tensor."""
    return float(generator.beta(alpha, alpha))


def mix(
    policy: Policy,
    images: Tensor,
    pairing: Pairing,
    lam: float,
    *,
    generator: np.random.Generator,
    features: Tensor | None = None,
) -> Mixed:
    """Mix `images` (N, 3, H, W) with their partners; `features` (N, C, h, w) are the host's maps of them."""
    maps = policy.maps(images, features)
    guides = None if maps is None else Guides(maps, pairing.of(maps))
    mixed: Mixed = policy(images, pairing.of(images), lam, generator=generator, guides=guides)
    return mixed


def blend(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """mask * first + (1 - mask) * second; images (N, 3, H, W), mask of the first (N, 1, H, W)."""
    return torch.lerp(second, first, mask.to(first.dtype))
