"""What every policy shares: the pairing, the ratio, the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from samix.core import distributed

Need = Literal["maps", "labels"]
"""What a policy may ask its host for: a field of `Seen`."""
Cost = Literal["S", "L", "V", "T"]


@dataclass(frozen=True)
class Mixed:
    """What a policy gives.

    images (N, 3, H, W); lam, the weight of the first parent's label, a number or (N,), one a sample; mask
    (N, 1, H, W) of the first parent where the policy has one; lam_second, the weight of the second parent's
    label, 1 - lam where it is None.
    """

    images: Tensor
    lam: float | Tensor
    mask: Tensor | None = None
    lam_second: float | Tensor | None = None


class Seen(NamedTuple):
    """What is known of each of N images beside its pixels; None where nobody asked for it.

    maps (N, C, h, w), the tap of the momentum encoder; labels (N,), classes or pseudo labels.
    """

    maps: Tensor | None = None
    labels: Tensor | None = None


NOTHING = Seen()


class Guides(NamedTuple):
    """What is known of the first and of the second parents, row by row."""

    first: Seen = NOTHING
    second: Seen = NOTHING


class Policy(nn.Module, ABC):
    """How two images become one. Never shuffles, never mixes labels, never changes its inputs."""

    cost: ClassVar[Cost]
    """S: static, no model is called; L: saliency or a model's opinion; V: attention of a ViT; T: trained."""

    needs: frozenset[Need] = frozenset()
    """Fields of `Seen` that the host has to fill."""

    def see(self, images: Tensor, seen: Seen) -> Seen:  # noqa: ARG002
        """What the policy wants to know of `images`: what the host has seen, or what it sees by itself."""
        return seen

    def unmixed(self, images: Tensor) -> Tensor:
        """Images as a network that is trained with this policy should see them when nothing is mixed."""
        return images

    @abstractmethod
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Mix each image of `first` (N, 3, H, W) with its partner in `second`, `lam` the share of `first`."""


@dataclass(frozen=True)
class Pairing:
    """Who is mixed with whom: one permutation, used for images, maps and targets alike.

    index (n,): rows that are the partners of this rank's rows, counted in the global batch, or with
    everywhere=False in this rank's own.
    """

    index: Tensor
    everywhere: bool = True

    def of(self, x: Any) -> Any:
        """The partners' rows of a tensor (n, ...), of None, or of a named tuple of such; no gradient across
        ranks.
        """
        if x is None:
            return None
        if isinstance(x, tuple):
            return type(x)(*(self.of(part) for part in x))
        return (distributed.all_gather(x) if self.everywhere else x)[self.index]


def draw_pairing(n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Pairing:
    """Pair `n` rows of each rank over the global batch so that no image meets itself.

    Redraws up to 10 times until the permutation has no fixed point, then takes a cyclic shift (SAMix,
    no-repeat). `generator` must be in the same state on all ranks.

    Raises: ValueError for a global batch of 1.
    """
    total = n * distributed.world_size()
    # a blocking copy would make the host wait for all that the device has been given to do
    return Pairing(distributed.local_rows(_derangement(total, generator)).to(device, non_blocking=True))


def draw_local_pairing(
    n: int, generator: torch.Generator, device: torch.device | str = "cpu", *, no_repeat: bool
) -> Pairing:
    """Pair `n` rows of this rank among themselves, as supervised mixup does.

    no_repeat False: any permutation, an image may meet itself. Raises: ValueError for no_repeat and n = 1.
    """
    index = _derangement(n, generator) if no_repeat else torch.randperm(n, generator=generator)
    return Pairing(index.to(device, non_blocking=True), everywhere=False)


def _derangement(total: int, generator: torch.Generator) -> Tensor:
    if total < 2:
        raise ValueError("mixing needs at least two images in the batch")
    own = np.arange(total)
    for _ in range(10):
        index = torch.randperm(total, generator=generator)
        if not (index.numpy() == own).any():
            return index
    (shift,) = torch.randint(1, max(2, total - 1), (1,), generator=generator).tolist()
    return torch.arange(total).roll(shift)


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
    seen: Seen = NOTHING,
    others: tuple[Tensor, Seen] | None = None,
) -> Mixed:
    """Mix `images` (N, 3, H, W) with their partners; `seen` is what the host knows of them.

    others: images, and what is known of them, to take the partners from, another view of the same batch;
    None: from `images` themselves.
    """
    first = policy.see(images, seen)
    if others is None:
        second_images, second = images, first
    else:
        second_images, second = others[0], policy.see(*others)
    guides = Guides(first, pairing.of(second))
    mixed: Mixed = policy(images, pairing.of(second_images), lam, generator=generator, guides=guides)
    return mixed


def blend(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """mask * first + (1 - mask) * second; images (N, 3, H, W), mask of the first (N, 1, H, W)."""
    return torch.lerp(second, first, mask.to(first.dtype))
