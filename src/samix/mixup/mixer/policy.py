"""SAMix as a policy: masks from a Mixer that its host trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from samix.config.mixing import MaskAdjustConfig
from samix.mixup.base import Guides, Mixed, Policy, blend
from samix.mixup.mixer.masks import adjust_mask
from samix.mixup.mixer.mixer import Mixer


class SAMix(Policy):
    """The Mixer's mask, without gradient and adjusted to lam; the maps are the host's momentum encoder's."""

    needs_features = True

    def __init__(self, mixer: Mixer, adjust: MaskAdjustConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.adjust = adjust

    @torch.no_grad()
    def forward(
        self,
        first: Tensor,
        second: Tensor,
        lam: float,
        *,
        generator: np.random.Generator,
        guides: Guides | None,
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], maps of both parents -> Mixed with its mask.

        Raises: ValueError where the host gave no maps.
        """
        if guides is None:
            raise ValueError("SAMix needs the feature maps of both parents")
        height, width = first.shape[-2:]
        mask = self.mixer(guides.first, guides.second, lam, (height, width)).mask
        mask = adjust_mask(mask, lam, self.adjust, generator)
        return Mixed(blend(first, second, mask), lam, mask)
