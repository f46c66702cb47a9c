"""SAMix: masks from a Mixer that is trained together with the network (Li et al., 2021)."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from samix.config.base import Config
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import MixerConfig
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio
from samix.mixup.mixer.masks import AdjustDraws, adjust_mask, draw_adjustment
from samix.mixup.mixer.mixer import Mixer, MixerDraws
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, Requirement, blend, two_parents


class SAMixDraws(NamedTuple):
    """Draws of the Mixer, with the weights (2,) of the parents, and draws for adjusting its mask."""

    mixer: MixerDraws
    adjust: AdjustDraws


class NoOptions(Config):
    """No options: the parameters of a Mixer are those of its training."""


class SAMix(Policy):
    """The Mixer's mask, without gradient and adjusted to lam; the maps are those of the momentum encoder."""

    cost = "learned"
    plain_weight = 1.0
    Options = NoOptions
    uses_mixer: ClassVar[Literal["none", "online", "pretrained"]] = "online"
    extra_requirement: ClassVar[str | None] = "a Mixer that is trained together with the network"

    def __init__(self, mixer: Mixer, adjust: MaskAdjustConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.adjust = adjust
        by_label: set[Requirement] = {"labels"} if adjust.mode == "auto_label" else set()
        self.requires = frozenset[Requirement]({"maps"}) | by_label

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        return cls(Mixer(8, MixerConfig()), MaskAdjustConfig())

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> SAMixDraws:  # noqa: ARG002
        """See Policy: one value of each Mixer option that is a list, then the draws for adjusting."""
        mixer = self.mixer.draw(rng, float(lam))
        return SAMixDraws(mixer, draw_adjustment(rng, float(lam), self.adjust))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: SAMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy.

        Raises: ValueError if maps are missing, or labels with mask_adjust.mode: auto_label.
        """
        maps, other_maps = info.first.maps, info.second.maps
        if maps is None or other_maps is None:
            raise ValueError("SAMix requires the feature maps of both parents")
        height, width = images.shape[-2:]
        mask = self.mixer(maps, other_maps, draws.mixer, (height, width)).mask
        alike = _alike(info) if self.adjust.mode == "auto_label" else None
        weights = draws.mixer.weights
        mask = adjust_mask(mask, weights, self.adjust, draws.adjust, alike)
        mixed = blend(images, pairing.select(others), mask)
        return two_parents(mixed, pairing, weights[:, None].expand(2, len(images)), mask)


def _alike(info: PairInfo) -> Tensor | None:
    """Pairs with equal labels, bool (N,); a label below 0 is unknown and never equal. None without labels."""
    labels, others = info.first.labels, info.second.labels
    if labels is None or others is None:
        return None
    return (labels == others) & (labels >= 0)
