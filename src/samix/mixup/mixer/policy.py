"""SAMix as a policy: masks from a Mixer that its host trains."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from samix.config.base import Config
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import MixerConfig
from samix.mixup.base import Cost, Guides, Mixed, Need, Policy, blend
from samix.mixup.mixer.masks import adjust_mask
from samix.mixup.mixer.mixer import Mixer


class NoOptions(Config):
    """A Mixer has parameters of its own, those of its training."""


class SAMix(Policy):
    """The Mixer's mask, without gradient and adjusted to lam; the maps are the host's momentum encoder's."""

    cost: ClassVar[Cost] = "T"
    plain_weight = 1.0
    Options = NoOptions
    uses_mixer: ClassVar[Literal["none", "online", "pretrained"]] = "online"
    extra_requirement: ClassVar[str | None] = "a Mixer that is trained along"

    def __init__(self, mixer: Mixer, adjust: MaskAdjustConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.adjust = adjust
        by_label: set[Need] = {"labels"} if adjust.mode == "auto_label" else set()
        self.needs = frozenset[Need]({"maps"}) | by_label

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        return cls(Mixer(8, MixerConfig()), MaskAdjustConfig())

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], maps and perhaps labels of both parents -> Mixed with its mask.

        Raises: ValueError where the host gave no maps, or no labels and mask_adjust.mode is auto_label.
        """
        maps, other_maps = guides.first.maps, guides.second.maps
        if maps is None or other_maps is None:
            raise ValueError("SAMix needs the feature maps of both parents")
        height, width = first.shape[-2:]
        mask = self.mixer(maps, other_maps, lam, (height, width), generator).mask
        alike = _alike(guides) if self.adjust.mode == "auto_label" else None
        mask = adjust_mask(mask, lam, self.adjust, generator, alike)
        return Mixed(blend(first, second, mask), lam, mask)


def _alike(guides: Guides) -> Tensor | None:
    """Pairs of one label (N,) bool; a label below 0 is unknown and never equal. None without labels."""
    labels, others = guides.first.labels, guides.second.labels
    if labels is None or others is None:
        return None
    return (labels == others) & (labels >= 0)
