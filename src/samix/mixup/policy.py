"""The interface of every policy: its requirements, its draws and the mixed images that it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from samix.core.step import BatchShape
from samix.mixup.lam import Ratio
from samix.mixup.pairing import Pairing

Requirement = Literal["maps", "labels", "saliency", "feature_saliency", "cam", "attention"]
"""A field of `ImageInfo`."""
Output = Literal["logits", "attention", "attentions"]
"""A field of `ModelOutputs`."""
Cost = Literal["static", "saliency", "attention", "learned"]
Draws = Any
"""The random numbers of one policy and one batch: a named tuple of tensors, and of host values that select
the graph (a stage, a grid size) or the fast path of the eager step (a box as integers)."""


class ModelOutputs(NamedTuple):
    """Outputs of the trained network for the mixed images, without gradient; None if not required.

    logits (N, C); attention (N, 1, h, w), from the class token to the patches in the last block; attentions,
    one (N, T, T) per block, rows are queries. Attention is a mean over heads.
    """

    logits: Tensor | None = None
    attention: Tensor | None = None
    attentions: tuple[Tensor, ...] | None = None


class ImageInfo(NamedTuple):
    """Information on each of N images besides its pixels; None if not required.

    maps (N, C, h, w), the tap of the momentum encoder; labels (N,), classes or pseudo labels; saliency and
    feature_saliency (N, 1, H, W), non-negative, the gradient of the network's loss and of the norm of its
    features with respect to the pixels; cam (N, 1, h, w), the class activation map of the label; attention
    (N, 1, h, w) of the class token to the patches in the last block, mean over heads.
    """

    maps: Tensor | None = None
    labels: Tensor | None = None
    saliency: Tensor | None = None
    feature_saliency: Tensor | None = None
    cam: Tensor | None = None
    attention: Tensor | None = None


NOTHING = ImageInfo()


class PairInfo(NamedTuple):
    """Information on the first and on the second parents, row by row."""

    first: ImageInfo = NOTHING
    second: ImageInfo = NOTHING


@dataclass(frozen=True)
class FeatureMix:
    """Mixing between two layers of the network instead of before the first.

    stage: 0, after the stem; k, after the k-th stage; -1, the last features. blend takes the features of the
    first and of the second parents, equal in shape, and returns the features that the next layer receives.
    """

    stage: int
    blend: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Mixed:
    """M mixed images, of K parents each.

    images (M, 3, H, W); index (K, M) int64, the row of each parent in this rank's batch, or with `everywhere`
    in the global batch; weights (K, M) float32 of the parents' labels, which need not sum to 1. own_first:
    row 0 of `index` is the image itself, which is true of all policies with two parents. mask (M, 1, H, W) of
    the first parent, or (K, M, 1, H, W) for more than two; None if the policy has none.

    features: the mixing that the network applies to its features; `images` are the first parents then.
    final: False if the weights follow from the network's outputs (`Policy.reweight`). extra: another mix of
    the same parents, whose loss is added with this factor. state: values that `Policy.reweight` reads.
    """

    images: Tensor
    index: Tensor
    weights: Tensor
    mask: Tensor | None = None
    everywhere: bool = False
    own_first: bool = True
    features: FeatureMix | None = None
    final: bool = True
    extra: tuple[float, Mixed] | None = None
    state: Any = None

    def targets_of(self, first: Any, second: Any) -> list[Any]:
        """Targets of each of the K parents.

        Args: targets of the images in the order of the batch, and those from which the targets of the other
        parents are selected (of another view in cross-view mixing).
        Raises: ValueError if the weights are not final.
        """
        if not self.final:
            raise ValueError(
                "the weights of these mixed images follow from the network's outputs: pass them through "
                "`Adapter.forward_mixed`, or set their weights to `policy.reweight(mixed, outputs)` first."
            )
        rows = [Pairing(row, self.everywhere) for row in self.index]
        if not self.own_first:
            return [row.select(first) for row in rows]
        return [first, *(row.select(second) for row in rows[1:])]

    def soft_targets(self, labels: Tensor, classes: int, smoothing: float = 0.0) -> Tensor:
        """(M, C) float32: sum_k weights_k ((1 - e) onehot_k + e / C) for labels (N,) and e = smoothing."""
        total = torch.zeros(len(self.images), classes, device=labels.device)
        for weight, label in zip(self.weights, self.targets_of(labels, labels), strict=True):
            total.scatter_add_(1, label[:, None], (1 - smoothing) * weight[:, None])
        return total + smoothing / classes * self.weights.sum(0)[:, None]


class Policy(nn.Module, ABC):
    """A rule that mixes images. It never shuffles, mixes labels or changes its inputs.

    Randomness is drawn on the host before the step (`draw`); `forward` and `reweight` are pure functions of
    tensors and these draws, except for dropout inside a trained Mixer.
    """

    cost: ClassVar[Cost]
    """static: calls no model; saliency: gradients or another model; attention: attention of a transformer;
    learned: a network that is trained for mixing."""

    requires: frozenset[Requirement] = frozenset()
    """Fields of `ImageInfo` that must be given."""

    requires_outputs: frozenset[Output] = frozenset()
    """Fields of `ModelOutputs` from which `reweight` computes the final weights."""

    mixes_features: Literal["never", "features", "maps"] = "never"
    """Whether it mixes features of the network (`Mixed.features`): any, or only maps (N, C, h, w)."""

    chooses_partners: bool = False
    """Whether it pairs images by a rule of its own (`choose_partners`)."""

    many_parents: bool = False
    """Whether it may mix more than two images into one."""

    resizes: bool = False
    """Whether the mixed images have another size than the images."""

    per_sample: bool = False
    """Whether lam may be one number per sample."""

    classes: bool = False
    """Whether the trained network must be a classifier."""

    host_solver: bool = False
    """Whether it solves a problem on the host in the middle of a step."""

    plain_weight: float = 0.0
    """Weight of the loss of un-mixed images in supervised training, as published."""

    Options: ClassVar[type[BaseModel] | None] = None
    """Model of the options that parameters may set; None: they are the keywords of `__init__`."""

    uses_mixer: ClassVar[Literal["none", "online", "pretrained"]] = "none"
    """Whether it has a Mixer that is trained together with the backbone, or one that was trained before."""

    default_alpha: ClassVar[float] = 1.0
    """alpha of lam ~ Beta(alpha, alpha) as published, for data sets without one in `samix.config.alphas`."""

    extra_requirement: ClassVar[str | None] = None
    """A requirement besides `requires` and `requires_outputs`, for the printed table."""

    @classmethod
    def parts(cls, options: Mapping[str, Any]) -> set[type[Policy]]:  # noqa: ARG003
        """This class and those of the policies that it chooses among with these options."""
        return {cls}

    @classmethod
    def uses_labels(cls, options: Mapping[str, Any]) -> bool:  # noqa: ARG003
        """Whether a policy with these options requires labels; known without building it."""
        return "labels" in cls.requires

    @classmethod
    def files(cls, options: Mapping[str, Any]) -> Iterable[Path]:  # noqa: ARG003
        """Files and folders that the policy reads with these options; a result depends on their contents."""
        return ()

    @classmethod
    def example(cls) -> Self:
        """A policy with its default options; networks of its own are small and untrained."""
        return cls()

    def resolve(self, lam: Ratio, rng: np.random.Generator) -> tuple[tuple[int, ...], Ratio]:  # noqa: ARG002
        """Path for `member` to the policy that mixes this batch, () for this policy, and its lam."""
        return (), lam

    def member(self, path: tuple[int, ...]) -> Policy:  # noqa: ARG002
        """The policy at a path from `resolve`: itself unless it is a choice of policies."""
        return self

    @abstractmethod
    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> Draws:
        """The random numbers of a batch, and numbers computed from lam, on the host.

        Args: rng, the stream "policy"; lam in [0, 1], a number or (N,) float64; shape of this rank's batch.
        """

    def expand(self, draws: Draws, shape: BatchShape, device: torch.device) -> Draws:  # noqa: ARG002
        """Draws on the device, with the tensors that a seeded torch generator makes there."""
        return draws

    def info_from(self, images: Tensor, info: ImageInfo) -> ImageInfo:  # noqa: ARG002
        """`info` on `images` (N, 3, H, W), completed by the fields that the policy computes."""
        return info

    def choose_partners(self, info: ImageInfo, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """Partners (n,) of n images by the policy's own rule; called only if `chooses_partners`."""
        raise NotImplementedError(f"{type(self).__name__} has no rule for its partners")

    def unmixed(self, images: Tensor) -> Tensor:
        """Images in the form in which a network trained with this policy is tested."""
        return images

    @abstractmethod
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: Draws, info: PairInfo
    ) -> Mixed:
        """Mix images (N, 3, H, W) with their partners.

        Args: others, the images from which the second parents are selected (another view in cross-view
        mixing, else `images`); pairing; draws, on the images' device; info on both parents.
        """

    def reweight(self, mixed: Mixed, outputs: ModelOutputs) -> Tensor:  # noqa: ARG002
        """Final weights (K, M) of mixed images, given the network's outputs for them."""
        return mixed.weights


def two_parents(
    images: Tensor,
    pairing: Pairing,
    weights: Tensor,
    mask: Tensor | None = None,
    *,
    features: FeatureMix | None = None,
    final: bool = True,
    state: Any = None,
) -> Mixed:
    """Mixed images (N, 3, H, W) of each image of the batch and its partner; weights (2, N)."""
    return Mixed(
        images,
        pairing.with_own(len(images)),
        weights,
        mask,
        everywhere=pairing.everywhere,
        features=features,
        final=final,
        state=state,
    )


def blend(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """mask * first + (1 - mask) * second; images (N, 3, H, W), mask of the first (N, 1, H, W)."""
    return torch.lerp(second, first, mask.to(first.dtype))
