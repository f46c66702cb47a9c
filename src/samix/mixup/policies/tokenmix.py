"""TokenMix (Liu et al., 2022)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import as_float32
from samix.mixup.lam import Ratio, complemented, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import ImageInfo, Mixed, PairInfo, Policy, Requirement, blend, two_parents
from samix.mixup.teacher import FrozenNetwork, frozen_network, weights_files
from samix.mixup.tokens import (
    Grid,
    attention_to,
    backbone_grid,
    check_patch,
    flipped,
    grid_of,
    in_pixels,
    share_inside,
)

_REQUIRES: dict[str, frozenset[Requirement]] = {
    "attention": frozenset({"attention"}),
    "teacher": frozenset({"cam"}),
    "area": frozenset(),
}


class TokenDraws(NamedTuple):
    """kept (1, 1, h, w), 1 for patches of the first; weights (2, N) by area."""

    kept: Tensor
    weights: Tensor


class TokenMix(Policy):
    """Patches of `second`, in several blocks, replace those of `first`; weights by attention or activation.

    int((1 - lam) P) + ceil(P / 14) of the P patches, at most P, come from `second`, the same for all samples:
    mask "block", random rectangles; "random", single patches. A block mask may stay smaller.

    label: the map of each clean image that weights its label. "attention": the trained network's attention to
    patches; "teacher": the class activation map of a frozen network, given by `weights`, or without them
    `ImageInfo.cam`, of the trained network or computed beforehand; "area": no map, the weights are the true
    shares. A parent's weight is the share of its map that lies in its patches. The two weights do not sum to
    1, as in the published code, unless `normalise_weights` is set.

    Partners are the batch in reverse order. DeiT's alternation with Mixup:
    RandomChoice(("mixup", "tokenmix"), (0.8, 1.0)).
    """

    cost = "attention"
    chooses_partners = True

    def __init__(
        self,
        mask: Literal["block", "random"] = "block",
        label: Literal["attention", "teacher", "area"] = "attention",
        patch: int = 16,
        normalise_weights: bool = False,
        backbone: str = "resnet50",
        weights: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """patch: side of the backbone's patches in pixels, for label "area" or "teacher".

        backbone, weights: of the teacher, a convolutional network with a classifier of the same classes (see
        `frozen_network`); mean and std are those used to normalise the images.
        Raises: ConfigError for a patch below 1, for weights without label "teacher", only one of mean and
        std, or a teacher without a classifier; errors of `frozen_network`.
        """
        super().__init__()
        check_patch(patch, "TokenMix")
        if weights is not None and label != "teacher":
            raise ConfigError(f"TokenMix: weights are a teacher's, and label is {label}: set it to teacher")
        if (mean is None) != (std is None):
            raise ConfigError("TokenMix: mean and std belong together; give both or none")
        self.mask = mask
        self.label = label
        self.patch = patch
        self.normalise_weights = normalise_weights
        self.requires = _REQUIRES[label]
        self.teacher: FrozenNetwork | None = None
        if weights is not None:
            use = None if mean is None or std is None else (list(mean), list(std))
            self.teacher = frozen_network(backbone, weights, images_use=use)
            self.requires = frozenset({"labels"})
            if not self.teacher.classes:
                raise ConfigError(f"TokenMix: the teacher {weights} has no classifier")

    @classmethod
    def uses_labels(cls, options: Mapping[str, Any]) -> bool:
        """See Policy: a teacher requires them."""
        return options.get("weights") is not None

    @classmethod
    def files(cls, options: Mapping[str, Any]) -> Iterable[Path]:
        """See Policy: the frozen network's weights."""
        return weights_files(options)

    def choose_partners(self, info: ImageInfo, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """The batch in reverse order."""
        return flipped(n, device)

    @torch.no_grad()
    def info_from(self, images: Tensor, info: ImageInfo) -> ImageInfo:
        """`info` with the class activation maps (N, 1, h, w) of the teacher, if there is one.

        Raises: ValueError if there is a teacher and the labels are missing.
        """
        if self.teacher is None:
            return info
        if info.labels is None:
            raise ValueError("TokenMix's teacher requires the labels of the images")
        return info._replace(cam=_class_maps(self.teacher, images, info.labels))

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> TokenDraws:
        """See Policy: the patches of `second`, the same for all samples.

        Raises: ConfigError if patches do not divide the images.
        """
        find = backbone_grid if self.label == "attention" else grid_of
        taken = self._patches(find(shape, self.patch, "TokenMix"), float(lam), rng)
        weights = pair_weights(1 - float(taken.mean()), shape.images)
        return TokenDraws(as_float32(1 - taken.astype(np.float32))[None, None], weights)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: TokenDraws, info: PairInfo
    ) -> Mixed:
        """See Policy. Raises: ValueError if maps are missing."""
        kept = draws.kept
        mask = in_pixels(kept, images)
        mixed = blend(images, pairing.select(others), mask)
        if self.label == "area":
            return two_parents(mixed, pairing, draws.weights, mask)
        first, second = (self._map_of(one, (kept.shape[2], kept.shape[3])) for one in info)
        own, other = share_inside(kept, first), share_inside(1 - kept, second)
        pair = torch.stack([own, other])
        weights = complemented(own / (own + other)) if self.normalise_weights else pair
        return two_parents(mixed, pairing, weights, mask)

    def _map_of(self, info: ImageInfo, grid: Grid) -> Tensor:
        """The map (N, 1, h, w) by which the labels are weighted, on the grid."""
        return attention_to(info, "TokenMix") if self.label == "attention" else _resized(info, grid)

    def _patches(self, grid: Grid, lam: float, rng: np.random.Generator) -> np.ndarray:
        """Patches of the second image, bools (h, w)."""
        total = grid[0] * grid[1]
        count = min(int((1 - lam) * total) + math.ceil(total / 14), total)
        if self.mask == "random":
            return (rng.permutation(total) < count).reshape(grid)
        taken = np.zeros(grid, dtype=bool)
        while (left := count - int(taken.sum())) > 0:
            if not any(_add_rectangle(taken, left, rng) for _ in range(10)):
                break
        return taken


def _add_rectangle(taken: np.ndarray, left: int, rng: np.random.Generator) -> bool:
    """Try one rectangle that adds between 1 and `left` patches; True if it was added (BEiT's block masks)."""
    area, aspect = rng.uniform(1, left), math.exp(rng.uniform(math.log(0.3), -math.log(0.3)))
    rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    height, width = taken.shape
    if rows >= height or columns >= width:
        return False
    top, start = (int(rng.integers(free + 1)) for free in (height - rows, width - columns))
    window = taken[top : top + rows, start : start + columns]
    if not 0 < window.size - int(window.sum()) <= left:
        return False
    window[:] = True
    return True


def _class_maps(teacher: FrozenNetwork, images: Tensor, labels: Tensor) -> Tensor:
    """sum_k w_yk relu(h_k) + b_y, (N, 1, h, w). Raises: ConfigError for a network without maps."""
    features = F.relu(teacher.last_map(images)).float()
    head = teacher.net.get_classifier() if teacher.head is None else teacher.head  # type: ignore[operator]
    if features.ndim != 4 or features.shape[1] != getattr(head, "in_features", None):
        raise ConfigError("TokenMix: the teacher makes no class maps; take a convolutional network")
    maps = (features * head.weight[labels].float()[:, :, None, None]).sum(1, keepdim=True)
    return maps if head.bias is None else maps + head.bias[labels].view(-1, 1, 1, 1)


def _resized(info: ImageInfo, grid: Grid) -> Tensor:
    """The class activation maps on the grid, (N, 1, h, w), shifted to minimum 0."""
    if info.cam is None:
        raise ValueError("TokenMix requires the class activation maps of both parents, or a teacher")
    maps = info.cam.float()
    if maps.shape[2:] != grid:
        maps = F.interpolate(maps, grid, mode="bilinear", align_corners=False, antialias=True)
    return maps - maps.amin((2, 3), keepdim=True)
