"""SnapMix (Huang et al., 2021)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import Box, as_boxes, draw_box
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import ImageInfo, Mixed, PairInfo, Policy, two_parents


class SnapMixDraws(NamedTuple):
    """mixed: whether the batch is mixed; boxes of `first` and of `second` as integers, since sizes of tensors
    depend on them; untouched (2, N), the weights of a batch that is not mixed.
    """

    mixed: bool
    boxes: tuple[Box, Box]
    untouched: Tensor


class SnapMix(Policy):
    """A box of `second`, resized, fills another box of `first`; weights follow the class activation maps.

    Both boxes are drawn like CutMix's: that of `first` for lam, that of `second` for its own share from
    Beta(alpha, alpha). The weight of `first` is the share of its class activation map outside its box, that
    of `second` the share of its map inside its box, so they need not sum to 1; if both images have the same
    class, each weight is the sum of the two, as published. For a map that is constant or contains NaN, the
    share of the area is used.
    probability: of mixing a batch; 0.5 is recommended if training starts from random weights.
    """

    cost = "saliency"
    default_alpha = 5.0
    requires = frozenset({"labels", "cam"})

    def __init__(self, alpha: float = 5.0, probability: float = 1.0) -> None:
        """Raises: ConfigError for an alpha that is not positive or a probability outside [0, 1]."""
        super().__init__()
        if not alpha > 0:
            raise ConfigError(f"SnapMix: alpha {alpha} must be positive")
        if not 0 <= probability <= 1:
            raise ConfigError(f"SnapMix: probability {probability} must be in [0, 1]")
        self.alpha = alpha
        self.probability = probability

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> SnapMixDraws:
        """See Policy: the box of `first`, the share and the box of `second`, then whether to mix."""
        height, width = shape.height, shape.width
        own = draw_box(height, width, math.sqrt(1 - float(lam)), rng)
        source = draw_box(height, width, math.sqrt(1 - rng.beta(self.alpha, self.alpha)), rng)
        empty = not (own.height and own.width and source.height and source.width)
        mixed = not (rng.random() >= self.probability or empty)
        return SnapMixDraws(mixed, (own, source), pair_weights(1.0, shape.images))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: SnapMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the mask is 0 in the box of `first`.

        Raises: ValueError if labels or maps are missing.
        """
        known, partners = _known(info.first), _known(info.second)
        if not draws.mixed:
            ones = torch.ones_like(images[:, :1], dtype=torch.float32)
            return two_parents(images, pairing, draws.untouched, ones)
        own, source = draws.boxes
        second, mixed = pairing.select(others), images.clone()
        content = second[source.at].to(torch.promote_types(second.dtype, torch.float32))
        mixed[own.at] = F.interpolate(
            content, (own.height, own.width), mode="bilinear", align_corners=True
        ).to(images.dtype)
        size = (images.shape[2], images.shape[3])
        area = own.share_outside(*size)
        kept = _or(1 - _share(known[1], own, size), area)
        pasted = _or(_share(partners[1], source, size), 1 - area)
        alike, both = known[0] == partners[0], kept + pasted
        weights = torch.stack([torch.where(alike, both, kept), torch.where(alike, both, pasted)])
        mask = as_boxes(own).mask_outside(images).to(images.device)
        return two_parents(mixed, pairing, weights, mask)


def _known(info: ImageInfo) -> tuple[Tensor, Tensor]:
    if info.labels is None or info.cam is None:
        raise ValueError("SnapMix requires labels and class activation maps of both parents")
    return info.labels, info.cam


def _share(cam: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """(N,) share of the maps (N, 1, h, w), shifted to minimum 0 and upsampled to `size`, inside the box."""
    cam = cam.float()
    cam = cam - cam.amin((2, 3), keepdim=True)
    maps = F.interpolate(cam, size, mode="bilinear", align_corners=False)
    return maps[box.at].sum((1, 2, 3)) / maps.sum((1, 2, 3))


def _or(share: Tensor, area: float) -> Tensor:
    return torch.where(share.isnan(), area, share)
