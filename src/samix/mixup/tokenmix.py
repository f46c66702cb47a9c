"""TokenMix (Liu et al., 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Need, Policy, Seen, blend
from samix.mixup.teacher import FrozenNetwork, frozen_network
from samix.mixup.tokens import Grid, attention_to, check_patch, flipped, grid_of, in_pixels, share_inside

_NEEDS: dict[str, frozenset[Need]] = {
    "attention": frozenset({"attention"}),
    "teacher": frozenset({"cam"}),
    "area": frozenset(),
}


class TokenMix(Policy):
    """Patches of `second`, in several blocks, replace those of `first`; labels go by what is seen in them.

    int((1 - lam) P) of the P patches and one more in 14, rounded up, come from `second`, the same of every
    sample: mask "block", random rectangles; "random", single patches. A block mask may stay smaller.

    label: whose map of each clean image says how much of it is left. "attention": the trained network's
    attention to patches; "teacher": the class activation map of a frozen network, given by `weights`, or
    without them `Seen.cam`, which the host fills or, as maps computed beforehand, the caller; "area": none,
    lam is the true share. A parent's weight is the share of its map that lies in its patches. The two do not
    sum up to 1, as in the published code, unless `normalise_weights`.

    The partner is that of the batch in reverse order. DeiT's alternation with Mixup:
    RandomChoice(("mixup", "tokenmix"), (0.8, 1.0)).
    """

    cost: ClassVar[Cost] = "V"

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
        """patch: side of the backbone's patches in pixels, where no attention shows their number.

        backbone, weights: of the teacher, a convolutional network with a classifier of the same classes (see
        `frozen_network`); mean and std are those the images were normalised by.
        Raises: ConfigError for a patch below 1, for weights without label "teacher", only one of mean and
        std, or a teacher without class maps; what `frozen_network` raises.
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
        self.needs = _NEEDS[label]
        self.teacher: FrozenNetwork | None = None
        if weights is not None:
            use = None if mean is None or std is None else (list(mean), list(std))
            self.teacher = frozen_network(backbone, weights, images_use=use)
            self.needs = frozenset({"labels"})
            if not self.teacher.classes:
                raise ConfigError(f"TokenMix: the teacher {weights} has no classifier")

    def partners(self, seen: Seen, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """The batch in reverse order."""
        return flipped(n, device)

    @torch.no_grad()
    def see(self, images: Tensor, seen: Seen) -> Seen:
        """With the teacher's class activation maps (N, 1, h, w), where there is a teacher.

        Raises: ValueError where it has to know labels and does not.
        """
        if self.teacher is None:
            return seen
        if seen.labels is None:
            raise ValueError("TokenMix's teacher needs the labels of the images")
        return seen._replace(cam=_class_maps(self.teacher, images, seen.labels))

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], the maps of both parents -> Mixed with its mask, one a batch.

        lam and lam_second are (N,), for label "area" lam is a number. Raises: ValueError where maps are
        missing; ConfigError where patches do not divide the images.
        """
        maps: list[Tensor] = []
        if self.label == "attention":
            parents = zip(guides, (first, second), strict=True)
            maps = [attention_to(seen, images, "TokenMix") for seen, images in parents]
            grid: Grid = (maps[0].shape[2], maps[0].shape[3])
        else:
            grid = grid_of(first, self.patch, "TokenMix")
        if self.label == "teacher":
            maps = [_resized(seen, grid) for seen in guides]
        taken = self._draw(grid, lam, generator)
        kept = torch.from_numpy(1 - taken.astype(np.float32)).to(first.device, non_blocking=True)[None, None]
        mask = in_pixels(kept, first)
        images = blend(first, second, mask)
        if not maps:
            return Mixed(images, 1 - float(taken.mean()), mask)
        own, other = share_inside(kept, maps[0]), share_inside(1 - kept, maps[1])
        if self.normalise_weights:
            return Mixed(images, own / (own + other), mask)
        return Mixed(images, own, mask, lam_second=other)

    def _draw(self, grid: Grid, lam: float, generator: np.random.Generator) -> np.ndarray:
        """Patches of the second image, bools (h, w)."""
        total = grid[0] * grid[1]
        count = min(int((1 - lam) * total) + math.ceil(total / 14), total)
        if self.mask == "random":
            return (generator.permutation(total) < count).reshape(grid)
        taken = np.zeros(grid, dtype=bool)
        while (left := count - int(taken.sum())) > 0:
            if not any(_add_rectangle(taken, left, generator) for _ in range(10)):
                break
        return taken


def _add_rectangle(taken: np.ndarray, left: int, generator: np.random.Generator) -> bool:
    """Try one rectangle that adds between 1 and `left` patches; whether it fitted (BEiT's block masks)."""
    area, aspect = generator.uniform(1, left), math.exp(generator.uniform(math.log(0.3), -math.log(0.3)))
    rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    height, width = taken.shape
    if rows >= height or columns >= width:
        return False
    top, start = (int(generator.integers(free + 1)) for free in (height - rows, width - columns))
    window = taken[top : top + rows, start : start + columns]
    if not 0 < window.size - int(window.sum()) <= left:
        return False
    window[:] = True
    return True


def _class_maps(teacher: FrozenNetwork, images: Tensor, labels: Tensor) -> Tensor:
    """sum_k w_yk relu(h_k) + b_y, (N, 1, h, w). Raises: ConfigError for a network that makes no maps."""
    features = F.relu(teacher.last_map(images)).float()
    head = teacher.net.get_classifier() if teacher.head is None else teacher.head  # type: ignore[operator]
    if features.ndim != 4 or features.shape[1] != getattr(head, "in_features", None):
        raise ConfigError("TokenMix: the teacher makes no class maps; take a convolutional network")
    maps = (features * head.weight[labels].float()[:, :, None, None]).sum(1, keepdim=True)
    return maps if head.bias is None else maps + head.bias[labels].view(-1, 1, 1, 1)


def _resized(seen: Seen, grid: Grid) -> Tensor:
    """The class activation maps on the grid, (N, 1, h, w), from 0 on."""
    if seen.cam is None:
        raise ValueError("TokenMix needs the class activation maps of both parents, or a teacher")
    maps = seen.cam.float()
    if maps.shape[2:] != grid:
        maps = F.interpolate(maps, grid, mode="bilinear", align_corners=False, antialias=True)
    return maps - maps.amin((2, 3), keepdim=True)
