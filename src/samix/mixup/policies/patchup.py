"""PatchUp, soft and hard (Faramarzi et al., 2022)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import BoxDraws
from samix.mixup.lam import Ratio, draw_ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policies.cutmix import CutMix
from samix.mixup.policies.mixup import linear
from samix.mixup.policy import FeatureMix, Mixed, PairInfo, Policy, two_parents

_DEFAULTS = {"soft": (1.0, 0.75), "hard": (0.7, 0.5)}
"""Probability and gamma of each kind, as published."""


class PatchUpDraws(NamedTuple):
    """place: None, the batch is not altered; 0, the images; 1 and 2, features after the stem and after the
    first stage. It selects the graph. weights (2, N); box, for place 0; for features lam (2, N) and seed,
    from which mask (C, h, w) is drawn.
    """

    place: int | None
    weights: Tensor
    box: BoxDraws | None = None
    lam: Tensor | None = None
    seed: int = 0
    mask: Tensor | None = None


class PatchUp(Policy):
    """Blocks of features of `first` are replaced by those of `second`, "hard", or mixed with them, "soft".

    A batch is altered with `probability`, in one of three places: the images, by CutMix with its own lam from
    Beta(1, 1); the features after the stem; the features after the first stage. One mask (C, h, w), the same
    for all samples, selects the altered features: blocks of `block` x `block` around drawn places, so many
    that a share of about `gamma` would be covered if blocks did not overlap. Maps less than four blocks wide
    get blocks of 5 or 3 instead, so that they are not altered almost everywhere. The given lam is that of the
    mixed features and is intended for alpha = 2.

    The loss of altered features is p CE(y) + (1 - p) CE(Y) + CE(p y + (1 - p) Y), p the share of unaltered
    features and Y the label of the altered ones, y' or lam y + (1 - lam) y'. Written as one weight per label,
    these are 2 (p + (1 - p) lam) and 2 (1 - p) (1 - lam), with lam = 0 for "hard"; their sum is 2.
    """

    cost = "static"
    default_alpha = 2.0
    mixes_features = "maps"
    per_sample = True

    def __init__(
        self,
        kind: Literal["soft", "hard"] = "soft",
        probability: float | None = None,
        gamma: float | None = None,
        block: int = 7,
    ) -> None:
        """probability and gamma None: the published ones, 1 and 0.75 for "soft", 0.7 and 0.5 for "hard".

        Raises: ConfigError for an unknown kind, numbers outside [0, 1], or a block of even side.
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

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> PatchUpDraws:
        """See Policy: whether and where to mix; then CutMix's lam and box, or the seed of the mask.

        Raises: ValueError without the shapes of the features.
        """
        if not shape.features:
            raise ValueError(
                "PatchUp requires the shapes of the network's features: draw with sizes by `Adapter.shape`."
            )
        untouched = pair_weights(1.0, shape.images)
        if rng.random() >= self.probability:
            return PatchUpDraws(None, untouched)
        place = int(rng.integers(3))
        if place == 0:
            own = draw_ratio(1.0, shape.images, rng, per_sample=isinstance(lam, np.ndarray))
            box = self.cutmix.draw(rng, own, shape)
            return PatchUpDraws(0, box.weights, box=box)
        share = lam if self.kind == "soft" else 0.0
        pair = pair_weights(share, shape.images)
        return PatchUpDraws(place, untouched, lam=pair, seed=int(rng.integers(2**63)))

    def expand(self, draws: PatchUpDraws, shape: BatchShape, device: torch.device) -> PatchUpDraws:
        """See Policy: the mask, and the weights that follow from it."""
        if not draws.place or draws.lam is None:
            return draws
        noise = torch.Generator(device).manual_seed(draws.seed)
        mask = self.mask(shape.features[draws.place - 1], noise)
        rest = mask.mean() * draws.lam[1]
        weights = torch.stack([2 * (1 - rest), 2 * rest])
        return draws._replace(seed=0, mask=mask, weights=weights)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: PatchUpDraws, info: PairInfo
    ) -> Mixed:
        """See Policy."""
        if draws.box is not None:
            mixed: Mixed = self.cutmix(images, others, pairing, draws.box, info)
            return mixed
        features = None
        if draws.place:
            lam, mask = draws.lam, draws.mask
            assert lam is not None and mask is not None  # `expand` made the mask

            def blend(own: Tensor, partner: Tensor) -> Tensor:
                return own.lerp(linear(own, partner, lam), mask.to(own.dtype))

            features = FeatureMix(draws.place - 1, blend)
        return two_parents(images, pairing, draws.weights, features=features)

    def mask(self, features: tuple[int, int, int], noise: torch.Generator) -> Tensor:
        """(C, h, w) float32 for features of this size: 1 at places that are altered."""
        height, width = features[1:]
        block = _fitting(self.block, min(height, width))
        room = (height - block + 1) * (width - block + 1)
        rate = self.gamma * height * width / (block**2 * room)
        centres = torch.rand(features, generator=noise, device=noise.device) < rate
        return F.max_pool2d(centres.float()[None], block, stride=1, padding=block // 2)[0]


def _fitting(block: int, side: int) -> int:
    """The largest of `block`, 5 and 3 that fits four times in `side`; else the smallest, or 1."""
    smaller = [size for size in (block, 5, 3) if size <= block]
    fits = next((size for size in smaller if 4 * size <= side), smaller[-1])
    return fits if fits <= side else 1
