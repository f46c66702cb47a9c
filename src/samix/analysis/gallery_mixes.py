"""Contents of a sheet of policies: the policies, and the mixes of one pair of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.config.options import options_model
from samix.core.step import BatchShape
from samix.mixup import (
    POLICIES,
    GridMix,
    GuidedMixup,
    ImageInfo,
    Mixed,
    Pairing,
    Policy,
    SAMixP,
    draw_policy,
    expanded,
    mix,
)
from samix.mixup.adapter import Adapter, capabilities_of
from samix.mixup.table import Capabilities, incompatibility
from samix.mixup.teacher import TIMM
from samix.nn import Classifier, load_classifier

LAMS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Eye:
    """A trained classifier for photographs in [0, 1]; its prediction replaces the label."""

    path: Path
    classifier: Classifier
    mean: Tensor
    std: Tensor

    @classmethod
    def from_file(cls, path: Path) -> Eye:
        """Read a weights file of the stage sl_training. Raises: DataError for another kind of file."""
        classifier, (mean, std) = load_classifier(path)
        classifier.eval()
        return cls(path, classifier, torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1))

    @property
    def adapter(self) -> Adapter:
        """The classifier, as policies use it."""
        head = self.classifier.head(self.classifier.names[-1])
        return Adapter(self.classifier, lambda features: head(features.pooled), head)

    @property
    def capabilities(self) -> Capabilities:
        """Its capabilities as a network for policies."""
        return capabilities_of(self.classifier.backbone, labels=True, classes=True)

    def normalized(self, images: Tensor) -> Tensor:
        """Photographs (N, 3, H, W) in [0, 1] as the classifier knows images."""
        return (images - self.mean) / self.std

    def info_for(self, policy: Policy, images: Tensor) -> ImageInfo:
        """Information that the policy requires for photographs (N, 3, H, W) in [0, 1]."""
        images = self.normalized(images)
        with torch.no_grad():
            guess = self.adapter.outputs_of(self.classifier(images)).argmax(1)
        known = ImageInfo(labels=guess)
        return self.adapter.info_for(policy, images, known, lambda z: F.cross_entropy(z, guess))

    def weighed(self, policy: Policy, mixed: Mixed) -> Mixed:
        """The mix with the weights that follow from the classifier's outputs."""
        shown = replace(mixed, images=self.normalized(mixed.images))
        with torch.no_grad():
            _, found = self.adapter.forward_mixed(policy, shown)
        return replace(found, images=mixed.images)


@dataclass(frozen=True)
class Shown:
    """A policy and the classifier that it requires; None if it requires none."""

    policy: Policy
    eye: Eye | None = None

    def mixes(self, first: Tensor, second: Tensor, seed: int) -> list[Mixed]:
        """One pair of images (1, 3, H, W) in [0, 1] at each of LAMS, with the same random numbers.

        The pair is a batch of two; of each Mixed the first row is the first image's mix.
        """
        images, pairing = torch.cat([first, second]), Pairing(torch.tensor([1, 0]), everywhere=False)
        size = (images.shape[2], images.shape[3])
        info, shape = ImageInfo(labels=torch.full((2,), -1)), BatchShape(2, *size)
        if self.eye is not None:
            info = self.eye.info_for(self.policy, images)
            shape = self.eye.adapter.shape(self.policy, 2, *size)
        found = []
        for lam in LAMS:
            drawn = draw_policy(self.policy, lam, np.random.default_rng(seed), shape, lambda policy: pairing)  # noqa: ARG005
            drawn = drawn._replace(pairing=pairing)
            mixed = mix(self.policy, images, expanded(self.policy, drawn, shape, images.device), info)
            if self.eye is not None and not mixed.final:
                mixed = self.eye.weighed(self.policy.member(drawn.member), mixed)
            found.append(mixed)
        return found


def shown_policies(pretrained_mixer: Path | None = None, networks: Sequence[Path] = ()) -> dict[str, Shown]:
    """Policies of the table that can be shown, by name.

    Those that need nothing but images; with `networks`, weights of the stage sl_training, those that ask one
    of them, the first that has what they need; SAMix-P, if there is a pretrained Mixer. Policies that mix
    features make no image, and those that are trained along have nothing to show before.
    """
    eyes = [Eye.from_file(path) for path in networks]
    found: dict[str, Shown] = {}
    for name, kind in POLICIES.items():
        if kind.cost == "learned" or kind.mixes_features != "never":
            continue
        shown = _with_network(kind, eyes) if _has_frozen_network(kind) else _of(kind(), eyes)
        if shown is not None:
            found[name] = shown
        if name == "gridmix":  # its two forms look like two policies
            found["gridmix, cells"] = Shown(GridMix("cells"))
        if name == "guidedmixup":  # the form that needs no gradient
            found["guidedmixup, sr"] = Shown(GuidedMixup("sr"))
    if pretrained_mixer is not None:
        found["samix_p"] = Shown(SAMixP.from_file(pretrained_mixer, images_use=([0.0] * 3, [1.0] * 3)))
    return found


def share_of_first(mixed: Mixed) -> float:
    """Weight of the first image's label in its own mix."""
    index, weights = mixed.index[:, 0], mixed.weights[:, 0]
    return float(weights[index == 0].sum())


def _of(policy: Policy, eyes: Sequence[Eye]) -> Shown | None:
    if not policy.requires and not policy.requires_outputs:
        return Shown(policy)
    eye = next((eye for eye in eyes if incompatibility(policy, eye.capabilities) is None), None)
    return None if eye is None else Shown(policy, eye)


def _has_frozen_network(kind: type[Policy]) -> bool:
    weights = options_model(kind).model_fields.get("weights")
    return weights is not None and weights.default == TIMM


def _with_network(kind: type[Policy], eyes: Sequence[Eye]) -> Shown | None:
    """A policy that brings a frozen network along: the first convolutional one of the eyes."""
    eye = next((eye for eye in eyes if eye.capabilities.maps), None)
    if eye is None:
        return None
    statistics = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    return _of(kind(weights=str(eye.path), **statistics), eyes)
