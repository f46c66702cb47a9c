"""TransMix (Chen et al., 2022)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Answer, Cost, Guides, Mixed, Outcome, Policy, Ratio
from samix.mixup.cutmix import CutMix
from samix.mixup.tokens import share_inside


class TransMix(Policy):
    """CutMix whose labels follow the attention that the network pays to either part of the mixed image.

    lam is, for each sample, ratio times the true share of `first` and 1 - ratio times the share of the class
    token's attention, in the last block, to patches of `first`. The paper has ratio 0; the mean of both is
    what its code and later ones do.
    """

    cost: ClassVar[Cost] = "V"
    after: frozenset[Answer] = frozenset({"attention"})
    per_sample = CutMix.per_sample

    def __init__(self, ratio: float = 0.5) -> None:
        """Raises: ConfigError for a ratio outside [0, 1]."""
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ConfigError(f"TransMix: ratio {ratio} must be in [0, 1]")
        self.ratio = ratio
        self.cutmix = CutMix()

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> CutMix's Mixed; `relabel` gives lam (N,)."""
        mixed: Mixed = self.cutmix(first, second, lam, generator=generator, guides=guides)
        return replace(mixed, relabel=partial(self._weighed, mixed))

    def _weighed(self, mixed: Mixed, outcome: Outcome) -> Mixed:
        if mixed.mask is None or outcome.attention is None:
            raise ValueError("TransMix needs the attention to the patches of the mixed images")
        attention = outcome.attention.float()
        height, width = attention.shape[-2:]
        kept = F.interpolate(mixed.mask, (height, width), mode="nearest")
        return replace(mixed, lam=self.ratio * mixed.lam + (1 - self.ratio) * share_inside(kept, attention))
