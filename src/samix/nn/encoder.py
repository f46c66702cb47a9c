"""A backbone with MoCo's projector: the trained network, whose moving average computes the keys."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.networks import ProjectorConfig
from samix.nn.backbones import Backbone


class Encoded(NamedTuple):
    """tap (N, C, h, w); pooled (N, width); projection (N, d), output of the projector; embedding (N, d), the
    projection with rows of length 1.
    """

    tap: Tensor
    pooled: Tensor
    projection: Tensor
    embedding: Tensor

    def rows(self, start: int, stop: int) -> Encoded:
        """The same for some rows of the batch."""
        return Encoded(*(t[start:stop] for t in self))


class Encoder(nn.Module):
    """Backbone and projector."""

    def __init__(self, backbone: Backbone, config: ProjectorConfig) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = projector(backbone.width, config)

    def forward(self, x: Tensor) -> Encoded:
        """Images (N, 3, H, W) -> Encoded."""
        features = self.backbone(x)
        projection = self.projector(features.pooled)
        embedding = F.normalize(projection.float(), dim=1)
        return Encoded(features.tap, features.pooled, projection, embedding)


def projector(width: int, config: ProjectorConfig) -> nn.Sequential:
    """fc - ReLU - fc from `width` to `config.out` (MoCo v2).

    `config.norm` puts BatchNorm after both, the last without affine parameters (as MoCo v3 does).
    """
    hidden = [nn.BatchNorm1d(config.hidden)] if config.norm else []
    out = [nn.BatchNorm1d(config.out, affine=False)] if config.norm else []
    return nn.Sequential(
        nn.Linear(width, config.hidden),
        *hidden,
        nn.ReLU(inplace=True),
        nn.Linear(config.hidden, config.out),
        *out,
    )
