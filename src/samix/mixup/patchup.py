"""PatchUp, soft and hard (Faramarzi et al., 2022)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Inside, Mixed, Outcome, Policy, Ratio, draw_lam, draw_lams
from samix.mixup.boxes import weights
from samix.mixup.cutmix import CutMix
from samix.mixup.mixup import linear

_DEFAULTS = {"soft": (1.0, 0.75), "hard": (0.7, 0.5)}
"""Probability and gamma of each kind, as published."""


class PatchUp(Policy):
    """Blocks of features of `second` in those of `first`, "hard", or both mixed there, "soft".

    A batch is altered with `probability`, in one of three places: the images, by CutMix with a lam of its own
    from Beta(1, 1); the features after the stem; those after the first stage. One mask (C, h, w), the same
    for all samples, says which features are altered: blocks x blocks around places that are drawn so that
    about a part `gamma` would be covered if no two blocks met. Maps less than four blocks wide get blocks of
    5 or 3 instead, so that not nearly all of them is altered. The given lam is that of the mixed features and
    wants alpha 2 at the host.

    The loss of altered features is p CE(y) + (1 - p) CE(Y) + CE(p y + (1 - p) Y), p the share of features
    that were left alone and Y the label of the others, y' or lam y + (1 - lam) y'. In one weight for each
    label, that is 2 (p + (1 - p) lam) and 2 (1 - p) (1 - lam), lam being 0 for "hard": they sum up to 2.
    """

    cost: ClassVar[Cost] = "S"
    default_alpha = 2.0
    inside = "maps"
    per_sample = True

    def __init__(
        self,
        kind: Literal["soft", "hard"] = "soft",
        probability: float | None = None,
        gamma: float | None = None,
        block: int = 7,
    ) -> None:
        """probability and gamma None: the published ones, 1 and 0.75 for "soft", 0.7 and 0.5 for "hard".

        Raises: ConfigError for a kind that there is not, numbers outside [0, 1], or a block of even side.
        """
        super().__init__()
        if kind not in _DEFAULTS:
            raise ConfigError(f"PatchUp: kind {kind!r} must be soft or hard")
        usual = _DEFAULTS[kind]
        self.kind = kind
        self.probability = usual[0] if probability is None else probability
        self.gamma = usual[1] if gamma is None else gamma
        self.block = block
        self.cutmix = CutMix()
        if not (0 <= self.probability <= 1 and 0 <= self.gamma <= 1):
            raise ConfigError(
                f"PatchUp: probability {self.probability} and gamma {self.gamma} must be in [0, 1]"
            )
        if block < 1 or block % 2 == 0:
            raise ConfigError(f"PatchUp: block {block} must be an odd number of places")

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed; with `inside`, its lam is known after the pass."""
        if generator.random() >= self.probability:
            return Mixed(first, 1.0)
        place = int(generator.integers(3))
        if place == 0:
            own = (
                draw_lams(1.0, len(lam), generator)
                if isinstance(lam, np.ndarray)
                else draw_lam(1.0, generator)
            )
            mixed: Mixed = self.cutmix(first, second, own, generator=generator, guides=guides)
            return mixed
        return self._inside(first, weights(lam, first), place - 1, int(generator.integers(2**63)))

    def _inside(self, images: Tensor, lam: float | Tensor, stage: int, seed: int) -> Mixed:
        share = lam if self.kind == "soft" else 0.0
        altered: list[Tensor] = []

        def blend(own: Tensor, partner: Tensor) -> Tensor:
            mask = self.mask(own, torch.Generator(own.device).manual_seed(seed))
            altered.append(mask.mean())
            return own.lerp(linear(own, partner, share), mask.to(own.dtype))

        def relabel(outcome: Outcome) -> Mixed:  # noqa: ARG001
            rest = (altered[-1] * (1 - share)).expand(len(images))
            return Mixed(images, 2 * (1 - rest), lam_second=2 * rest)

        return Mixed(images, lam, inside=Inside(stage, blend), relabel=relabel)

    def mask(self, features: Tensor, noise: torch.Generator) -> Tensor:
        """(C, h, w) float32 for features (N, C, h, w): 1 where they are altered."""
        height, width = features.shape[2:]
        block = _fitting(self.block, min(height, width))
        room = (height - block + 1) * (width - block + 1)
        rate = self.gamma * height * width / (block**2 * room)
        centres = torch.rand(features.shape[1:], generator=noise, device=features.device) < rate
        return F.max_pool2d(centres.float()[None], block, stride=1, padding=block // 2)[0]


def _fitting(block: int, side: int) -> int:
    """The largest of `block`, 5 and 3 that fits four times in `side` places; else 3, or 1 where 3 is more."""
    smaller = [size for size in (block, 5, 3) if size <= block]
    fits = next((size for size in smaller if 4 * size <= side), smaller[-1])
    return fits if fits <= side else 1
