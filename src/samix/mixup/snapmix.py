"""SnapMix (Huang et al., 2021)."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Need, Policy, Seen
from samix.mixup.boxes import Box, draw_box


class SnapMix(Policy):
    """A box of `second`, resized, fills another of `first`; labels are weighed by the semantics they hold.

    Both boxes are drawn as CutMix draws its own: that of `first` for lam, that of `second` for a share of its
    own from Beta(alpha, alpha). lam is what the class activation map of `first` has outside of its box,
    lam_second what that of `second` has inside of its own, so they need not sum up to 1; where both are of
    one class each gets the sum of the two, as published. A map without values, or one that is no number,
    counts by area. probability: of mixing a batch at all; 0.5 is advised where training starts from random
    weights.
    """

    cost: ClassVar[Cost] = "L"
    default_alpha = 5.0
    needs: frozenset[Need] = frozenset({"labels", "cam"})

    def __init__(self, alpha: float = 5.0, probability: float = 1.0) -> None:
        """Raises: ConfigError for an alpha that is not positive or a probability outside [0, 1]."""
        super().__init__()
        if not alpha > 0:
            raise ConfigError(f"SnapMix: alpha {alpha} must be positive")
        if not 0 <= probability <= 1:
            raise ConfigError(f"SnapMix: probability {probability} must be in [0, 1]")
        self.alpha = alpha
        self.probability = probability

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], labels and maps of both -> Mixed with lam and lam_second (N,).

        mask: 0 in the box of `first`. Raises: ValueError where labels or maps are missing.
        """
        known, others = _known(guides.first), _known(guides.second)
        own = draw_box(first, math.sqrt(1 - lam), generator)
        source = draw_box(second, math.sqrt(1 - generator.beta(self.alpha, self.alpha)), generator)
        empty = not (own.height and own.width and source.height and source.width)
        if generator.random() >= self.probability or empty:
            all_of_it = first.new_ones(len(first), dtype=torch.float32)
            return Mixed(first, all_of_it, torch.ones_like(first[:, :1], dtype=torch.float32), 1 - all_of_it)
        images = first.clone()
        content = second[source.at].to(torch.promote_types(second.dtype, torch.float32))
        images[own.at] = F.interpolate(
            content, (own.height, own.width), mode="bilinear", align_corners=True
        ).to(first.dtype)
        area = own.share_outside(first)
        kept = _or(1 - _share(known[1], own, first), area)
        pasted = _or(_share(others[1], source, second), 1 - area)
        alike = known[0] == others[0]
        both = kept + pasted
        lam_first, lam_second = torch.where(alike, both, kept), torch.where(alike, both, pasted)
        return Mixed(images, lam_first, own.mask_outside(first), lam_second)


def _known(seen: Seen) -> tuple[Tensor, Tensor]:
    if seen.labels is None or seen.cam is None:
        raise ValueError("SnapMix needs labels and class activation maps of both parents")
    return seen.labels, seen.cam


def _share(cam: Tensor, box: Box, images: Tensor) -> Tensor:
    """(N,) share of the maps (N, 1, h, w), lifted to 0 and upsampled to the images, that lies in the box."""
    cam = cam.float()
    cam = cam - cam.amin((2, 3), keepdim=True)
    size = (images.shape[2], images.shape[3])
    maps = F.interpolate(cam, size, mode="bilinear", align_corners=False)
    return maps[box.at].sum((1, 2, 3)) / maps.sum((1, 2, 3))


def _or(share: Tensor, area: float) -> Tensor:
    return torch.where(share.isnan(), area, share)
