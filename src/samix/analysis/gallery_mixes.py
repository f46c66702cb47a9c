"""What a sheet of policies shows: which of them, and the mixes of one pair of photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.config.options import options_model
from samix.mixup import (
    POLICIES,
    GridMix,
    GuidedMixup,
    Mixed,
    Pairing,
    Policy,
    SAMixP,
    Seen,
    mix,
)
from samix.mixup.host import Host, offer_of
from samix.mixup.table import Offer, refusal
from samix.mixup.teacher import TIMM
from samix.nn import Classifier, load_classifier

LAMS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Eye:
    """A trained classifier that policies ask about photographs in [0, 1]; its guess stands for the label."""

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
    def host(self) -> Host:
        """The classifier as policies see it."""
        head = self.classifier.head(self.classifier.names[-1])
        return Host(self.classifier, lambda features: head(features.pooled), head)

    @property
    def offer(self) -> Offer:
        """What policies can ask it for."""
        return offer_of(self.classifier.backbone, labels=True, classes=True)

    def normalized(self, images: Tensor) -> Tensor:
        """Photographs (N, 3, H, W) in [0, 1] as the classifier knows images."""
        return (images - self.mean) / self.std

    def look(self, policy: Policy, images: Tensor) -> Seen:
        """What the policy needs to know of photographs (N, 3, H, W) in [0, 1]."""
        images = self.normalized(images)
        with torch.no_grad():
            guess = self.host.read(self.classifier(images)).argmax(1)
        return self.host.look(policy, images, Seen(labels=guess), lambda z: F.cross_entropy(z, guess))

    def weighed(self, policy: Policy, mixed: Mixed, pairing: Pairing) -> Mixed:
        """The mix with the weights that it has once the classifier has seen it."""
        shown = replace(mixed, images=self.normalized(mixed.images))
        with torch.no_grad():
            _, found = self.host.run(policy, shown, pairing)
        return replace(found, images=mixed.images)


@dataclass(frozen=True)
class Shown:
    """A policy and the classifier that it asks, where it asks one."""

    policy: Policy
    eye: Eye | None = None

    def mixes(self, first: Tensor, second: Tensor, seed: int) -> list[Mixed]:
        """One pair of images (1, 3, H, W) in [0, 1] at each of LAMS, with the same random numbers.

        The pair is a batch of two; of each Mixed the first row is the first image's mix.
        """
        images, pairing = torch.cat([first, second]), Pairing(torch.tensor([1, 0]), everywhere=False)
        unknown = Seen(labels=torch.full((2,), -1))
        seen = unknown if self.eye is None else self.eye.look(self.policy, images)
        found = []
        for lam in LAMS:
            generator = np.random.default_rng(seed)
            mixed = mix(self.policy, images, pairing, lam, generator=generator, seen=seen)
            if self.eye is not None and mixed.relabel is not None:
                mixed = self.eye.weighed(self.policy, mixed, pairing)
            found.append(mixed)
        return found


def shown_policies(bundle: Path | None = None, networks: Sequence[Path] = ()) -> dict[str, Shown]:
    """Policies of the table that can be shown, by name.

    Those that need nothing but images; with `networks`, weights of the stage sl_training, those that ask one
    of them, the first that has what they need; SAMix-P, if there is a bundle. Policies that mix features make
    no image, and those that are trained along have nothing to show before.
    """
    eyes = [Eye.from_file(path) for path in networks]
    found: dict[str, Shown] = {}
    for name, kind in POLICIES.items():
        if kind.cost == "T" or kind.inside != "never":
            continue
        shown = _with_network(kind, eyes) if _has_frozen_network(kind) else _of(kind(), eyes)
        if shown is not None:
            found[name] = shown
        if name == "gridmix":  # its two forms look like two policies
            found["gridmix, cells"] = Shown(GridMix("cells"))
        if name == "guidedmixup":  # the form that needs no gradient
            found["guidedmixup, sr"] = Shown(GuidedMixup("sr"))
    if bundle is not None:
        found["samix_p"] = Shown(SAMixP.from_file(bundle, images_use=([0.0] * 3, [1.0] * 3)))
    return found


def share_of_first(mixed: Mixed) -> float:
    """Weight of the first image's label in its own mix."""
    if mixed.parents is None:
        return float(torch.as_tensor(mixed.lam).flatten()[0])
    index, shares = mixed.parents.index[:, 0], mixed.parents.shares[:, 0]
    return float(shares[index == 0].sum())


def _of(policy: Policy, eyes: Sequence[Eye]) -> Shown | None:
    if not policy.needs and not policy.after:
        return Shown(policy)
    eye = next((eye for eye in eyes if refusal(policy, eye.offer) is None), None)
    return None if eye is None else Shown(policy, eye)


def _has_frozen_network(kind: type[Policy]) -> bool:
    weights = options_model(kind).model_fields.get("weights")
    return weights is not None and weights.default == TIMM


def _with_network(kind: type[Policy], eyes: Sequence[Eye]) -> Shown | None:
    """A policy that brings a frozen network along: the first convolutional one of the eyes."""
    eye = next((eye for eye in eyes if eye.offer.maps), None)
    if eye is None:
        return None
    statistics = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    return _of(kind(weights=str(eye.path), **statistics), eyes)
