"""What every policy shares: what it asks for, the ratio, the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from samix.mixup.pairing import Pairing

Need = Literal["maps", "labels", "saliency", "feature_saliency", "cam", "attention"]
"""What a policy may ask its host for: a field of `Seen`."""
Answer = Literal["logits", "attention", "attentions"]
"""What a policy may want to know of the mixed images before it weighs labels: a field of `Outcome`."""
Cost = Literal["S", "L", "V", "T"]
Ratio = float | np.ndarray
"""lam: a number for the batch, or float64 (N,), one a sample, which `Policy.per_sample` must allow."""


class Outcome(NamedTuple):
    """What the trained network made of the mixed images, without gradient; None where nobody asked for it.

    logits (N, C); attention (N, 1, h, w), from the class token to the patches in the last block; attentions,
    one (N, T, T) a block, rows are queries. Attention is a mean over heads.
    """

    logits: Tensor | None = None
    attention: Tensor | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class Inside:
    """Mixing between two layers of the network instead of before the first.

    stage: 0, after the stem; k, after the k-th stage; -1, the last features. blend takes the features of the
    first and of the second parents, equal in shape, and gives those that the network goes on with.
    """

    stage: int
    blend: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Parents:
    """More than two parents: index (K, N), rows of the batch; shares (K, N), weights of their labels."""

    index: Tensor
    shares: Tensor


@dataclass(frozen=True)
class Mixed:
    """What a policy gives.

    images (N, 3, H, W); lam, the weight of the first parent's label, a number or (N,), one a sample; mask
    (N, 1, H, W) of the first parent where the policy has one; lam_second, the weight of the second parent's
    label, 1 - lam where it is None.

    inside: what the network has to do to its features, `images` being the first parents then. relabel: to be
    called with the outcome that `Policy.after` names, gives the Mixed whose weights are right. parents: of
    policies that mix more than two images; lam means nothing then. beside: another mix of them, whose loss
    is added with this weight.
    """

    images: Tensor
    lam: float | Tensor
    mask: Tensor | None = None
    lam_second: float | Tensor | None = None
    inside: Inside | None = None
    relabel: Callable[[Outcome], Mixed] | None = None
    parents: Parents | None = None
    beside: tuple[float, Mixed] | None = None


class Seen(NamedTuple):
    """What is known of each of N images beside its pixels; None where nobody asked for it.

    maps (N, C, h, w), the tap of the momentum encoder; labels (N,), classes or pseudo labels; saliency and
    feature_saliency (N, 1, H, W), not negative, the gradient of the network's loss and of the length of its
    features by the pixels; cam (N, 1, h, w), the class activation map of the label; attention (N, 1, h, w)
    of the class token to the patches in the last block, mean over heads.
    """

    maps: Tensor | None = None
    labels: Tensor | None = None
    saliency: Tensor | None = None
    feature_saliency: Tensor | None = None
    cam: Tensor | None = None
    attention: Tensor | None = None


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

    after: frozenset[Answer] = frozenset()
    """Fields of `Outcome` that `Mixed.relabel` has to be given."""

    inside: Literal["never", "features", "maps"] = "never"
    """Whether it mixes features of the network (`Mixed.inside`): any, or only maps (N, C, h, w)."""

    several: bool = False
    """Whether it may mix more than two images (`Mixed.parents`)."""

    resizes: bool = False
    """Whether mixed images have another size than the given ones."""

    per_sample: bool = False
    """Whether lam may be one a sample."""

    classes: bool = False
    """Whether its host has to be a classifier."""

    plain_weight: float = 0.0
    """Weight of the loss of un-mixed images in a supervised host, as the method has it."""

    Options: ClassVar[type[BaseModel] | None] = None
    """Model of the options that parameters may set; None: they are the keywords of `__init__`."""

    uses_mixer: ClassVar[Literal["none", "online", "pretrained"]] = "none"
    """Whether it has a Mixer that is trained together with the backbone, or one that was trained before."""

    default_alpha: ClassVar[float] = 1.0
    """alpha of lam ~ Beta(alpha, alpha) as published, for data sets without one in `samix.config.alphas`."""

    extra_requirement: ClassVar[str | None] = None
    """What it requires besides the fields `needs` and `after`, for the printed table."""

    @classmethod
    def example(cls) -> Self:
        """A policy with its default options; networks of its own are small and untrained."""
        return cls()

    def drawn(self, lam: Ratio, generator: np.random.Generator) -> tuple[Policy, Ratio]:  # noqa: ARG002
        """The policy that mixes this batch, and its lam: another one where there are several to draw from."""
        return self, lam

    def see(self, images: Tensor, seen: Seen) -> Seen:  # noqa: ARG002
        """What the policy wants to know of `images`: what the host has seen, or what it sees by itself."""
        return seen

    def partners(self, seen: Seen, n: int, device: torch.device) -> Tensor | None:  # noqa: ARG002
        """Who is mixed with whom (n,), where the policy has a rule for it, given what it has seen of the n
        images; None: the host pairs.
        """
        return None

    def unmixed(self, images: Tensor) -> Tensor:
        """Images as a network that is trained with this policy should see them when nothing is mixed."""
        return images

    def pairs(
        self,
        images: Tensor,
        others: Tensor,
        pairing: Pairing,
        lam: Any,
        *,
        generator: np.random.Generator,
        guides: Guides,
    ) -> Mixed:
        """As `forward`, with the partners still to be gathered from `others`, which are not changed either.

        A policy overrides it where it needs a part of the partners only, or can write into what is gathered.
        """
        mixed: Mixed = self(images, pairing.of(others), lam, generator=generator, guides=guides)
        return mixed

    @abstractmethod
    def forward(
        self, first: Tensor, second: Tensor, lam: Any, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Mix each image of `first` (N, 3, H, W) with its partner in `second`, `lam` the share of `first`."""


def draw_lam(alpha: float, generator: np.random.Generator) -> float:
    """lam ~ Beta(alpha, alpha), a Python number: it is needed on the host and moves no tensor."""
    return float(generator.beta(alpha, alpha))


def draw_lams(alpha: float, n: int, generator: np.random.Generator) -> np.ndarray:
    """lam ~ Beta(alpha, alpha) for each of n samples, (n,) float64 on the host."""
    return generator.beta(alpha, alpha, size=n)


def mix(
    policy: Policy,
    images: Tensor,
    pairing: Pairing,
    lam: Ratio,
    *,
    generator: np.random.Generator,
    seen: Seen = NOTHING,
    others: tuple[Tensor, Seen] | None = None,
) -> Mixed:
    """Mix `images` (N, 3, H, W) with their partners; `seen` is what the host knows of them.

    The pairing is the caller's, whatever rule the policy may have (see `pair_and_mix`).
    others: images, and what is known of them, to take the partners from, another view of the same batch;
    None: from `images` themselves.
    """
    policy, lam = policy.drawn(lam, generator)
    return _mixed(policy, images, pairing, lam, generator, policy.see(images, seen), others)


def pair_and_mix(
    policy: Policy,
    images: Tensor,
    draw: Callable[[], Pairing],
    lam: Ratio,
    *,
    generator: np.random.Generator,
    seen: Seen = NOTHING,
    others: tuple[Tensor, Seen] | None = None,
) -> tuple[Mixed, Pairing]:
    """As `mix`, with the pairing of the policy's own rule where it has one, else the one that `draw` gives.

    `policy` mixes itself: where there are several to draw from, it is the one that `Policy.drawn` gave.
    """
    first = policy.see(images, seen)
    index = policy.partners(first, len(images), images.device)
    pairing = draw() if index is None else Pairing(index, everywhere=False)
    return _mixed(policy, images, pairing, lam, generator, first, others), pairing


def _mixed(
    policy: Policy,
    images: Tensor,
    pairing: Pairing,
    lam: Ratio,
    generator: np.random.Generator,
    first: Seen,
    others: tuple[Tensor, Seen] | None,
) -> Mixed:
    if isinstance(lam, np.ndarray) and not policy.per_sample:
        raise ValueError(f"{type(policy).__name__} takes one lam for the whole batch")
    if others is None:
        second_images, second = images, first
    else:
        second_images, second = others[0], policy.see(*others)
    guides = Guides(first, pairing.of(second))
    return policy.pairs(images, second_images, pairing, lam, generator=generator, guides=guides)


def blend(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """mask * first + (1 - mask) * second; images (N, 3, H, W), mask of the first (N, 1, H, W)."""
    return torch.lerp(second, first, mask.to(first.dtype))
