"""AttentiveMix and AttentiveMix+ (Walawalkar et al., 2020)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, complemented
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents
from samix.mixup.teacher import TIMM, frozen_network, weights_files
from samix.mixup.unit_range import Channels


class LamDraws(NamedTuple):
    """lam of the batch as a host value: the number of cells depends on it, so the step is not one graph."""

    lam: float


class AttentiveMix(Policy):
    """The cells of `first` with the strongest response of a frozen network stay; the rest is `second`.

    Cells are those of the network's last map, 7 x 7 for images of 224 pixels, ranked by the mean over its
    channels. cells: how many stay; None, AttentiveMix+: the share lam of them, rounded down, at least one.
    The original uses 6. lam becomes the true share of `first` of each sample.
    """

    cost = "saliency"
    extra_requirement = "a trained network, which stays frozen"

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = TIMM,
        size: int = 224,
        cells: int | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        network: nn.Module | None = None,
    ) -> None:
        """Args:
        backbone, weights: the network, see `frozen_network`; timm's weights are downloaded.
        size: side to which images are resized for it.
        mean, std: those used to normalise the images, which are converted to those of timm's weights.
        network: the user's own module, images (N, 3, H, W) -> maps (N, C, h, w), instead of the options
            above. It is frozen and kept in eval mode.

        Raises: ConfigError for only one of mean and std, cells or a size below 1, or an unknown backbone;
        DataError for weights that cannot be read or downloaded.
        """
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigError("AttentiveMix: mean and std belong together; give both or none")
        if size < 1 or (cells is not None and cells < 1):
            raise ConfigError(f"AttentiveMix: size {size} and cells {cells} must be at least 1")
        self.cells = cells
        if network is None:
            images_use = None if mean is None or std is None else (list(mean), list(std))
            network = _LastMap(frozen_network(backbone, weights, size=size, images_use=images_use))
        self.network = network.requires_grad_(False)
        self.train()

    @classmethod
    def files(cls, options: Mapping[str, Any]) -> Iterable[Path]:
        """See Policy: the frozen network's weights."""
        return weights_files(options)

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        return cls(network=nn.Conv2d(3, 4, 3, stride=2, padding=1))

    def train(self, mode: bool = True) -> AttentiveMix:  # noqa: ARG002 - frozen in any training
        """Stay in eval mode: BatchNorm's statistics are frozen with the weights."""
        super().train(False)
        return self

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> LamDraws:  # noqa: ARG002
        """See Policy; draws nothing."""
        return LamDraws(float(lam))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: LamDraws, info: PairInfo
    ) -> Mixed:
        """See Policy."""
        attention = self.network(images.float()).float().mean(1, keepdim=True)
        total = attention[0].numel()
        wanted = int(total * draws.lam) if self.cells is None else self.cells
        top = attention.flatten(1).topk(max(1, min(total, wanted)), dim=1).indices
        cells = torch.zeros_like(attention).flatten(1).scatter_(1, top, 1.0).view_as(attention)
        mask = F.interpolate(cells, (images.shape[2], images.shape[3]), mode="nearest")
        mixed = torch.where(mask.bool(), images, pairing.select(others))
        return two_parents(mixed, pairing, complemented(mask.mean((1, 2, 3))), mask)


class _LastMap(nn.Module):
    """A frozen network that returns its last map instead of its logits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net.last_map(images)  # type: ignore[operator,no-any-return]
