"""TransMix (Chen et al., 2022)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import BoxDraws
from samix.mixup.lam import Ratio, complemented
from samix.mixup.pairing import Pairing
from samix.mixup.policies.cutmix import CutMix
from samix.mixup.policy import Mixed, ModelOutputs, PairInfo, Policy
from samix.mixup.tokens import share_inside


class TransMix(Policy):
    """CutMix whose labels follow the network's attention to the two parts of the mixed image.

    The weight of `first` is, for each sample, ratio times the true share of `first` plus 1 - ratio times the
    share of the class token's attention, in the last block, to patches of `first`. The paper uses ratio 0;
    its code and later ones use the mean of both, ratio 0.5.
    """

    cost = "attention"
    requires_outputs = frozenset({"attention"})
    per_sample = CutMix.per_sample

    def __init__(self, ratio: float = 0.5) -> None:
        """Raises: ConfigError for a ratio outside [0, 1]."""
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ConfigError(f"TransMix: ratio {ratio} must be in [0, 1]")
        self.ratio = ratio
        self.cutmix = CutMix()

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> BoxDraws:
        """See Policy: CutMix's box."""
        return self.cutmix.draw(rng, lam, shape)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: BoxDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; CutMix's images, whose weights are not final."""
        mixed: Mixed = self.cutmix(images, others, pairing, draws, info)
        return replace(mixed, final=False)

    def reweight(self, mixed: Mixed, outputs: ModelOutputs) -> Tensor:
        """See Policy. Raises: ValueError if the attention is missing."""
        if mixed.mask is None or outputs.attention is None:
            raise ValueError("TransMix requires the attention to the patches of the mixed images")
        attention = outputs.attention.float()
        height, width = attention.shape[-2:]
        kept = F.interpolate(mixed.mask, (height, width), mode="nearest")
        share = self.ratio * mixed.weights[0] + (1 - self.ratio) * share_inside(kept, attention)
        return complemented(share)
