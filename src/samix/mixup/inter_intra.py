"""Inter-Intra mixup by clusters (SAMix, hand-made baseline)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Need, Policy, blend, draw_lam
from samix.mixup.boxes import draw_box


class InterIntra(Policy):
    """CutMix for a pair of two clusters, Mixup for a pair within one; each sample by its own labels.

    The given lam is that of CutMix and wants alpha >= 2 at the host. Mixup's is drawn here, one a batch, from
    Beta(alpha_intra, alpha_intra).
    """

    cost: ClassVar[Cost] = "S"
    default_alpha = 2.0
    needs: frozenset[Need] = frozenset({"labels"})

    def __init__(self, alpha_intra: float = 0.2) -> None:
        """Raises: ConfigError for an alpha that is not positive."""
        super().__init__()
        if not alpha_intra > 0:
            raise ConfigError(f"InterIntra: alpha_intra {alpha_intra} must be positive")
        self.alpha_intra = alpha_intra

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], labels of both parents -> Mixed with lam (N,) and its masks.

        Raises: ValueError where the host gave no labels.
        """
        if guides.first.labels is None or guides.second.labels is None:
            raise ValueError("Inter-Intra mixup needs the (pseudo) labels of both parents")
        lam_intra = draw_lam(self.alpha_intra, generator)
        box = draw_box(first, math.sqrt(1 - lam), generator)
        same = guides.first.labels == guides.second.labels
        cut = box.mask_outside(first)
        mask = torch.where(same[:, None, None, None], lam_intra, cut)
        share = torch.where(same, lam_intra, box.share_outside(first))
        return Mixed(blend(first, second, mask), share, mask)
