"""The self-supervised host."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samix.config.base import Config
from samix.config.data import AugmentConfig
from samix.config.networks import BackboneConfig, ProjectorConfig
from samix.config.training import OptimizerConfig

CrossView = Literal["q2k", "swap", "same", "same_swap"]


class MethodConfig(Config):
    """Parameters that every self-supervised method has."""

    batch_size: int = Field(256, ge=2, description="images of a global batch")
    cross_view: CrossView = Field(
        "q2k",
        description="views of (first parent, second parent) -> (first target, second target). q2k: qq -> kk; "
        "swap: qk -> kq; ablations, same: qq -> qq; same_swap: qk -> qk",
    )
    projector: ProjectorConfig = ProjectorConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()


class MomentumMethodConfig(MethodConfig):
    """Parameters of methods whose teacher is a moving average of the encoder."""

    momentum: float = Field(0.999, ge=0, le=1, description="of the momentum encoder")
    ema_buffers: bool = Field(
        False, description="average BatchNorm's statistics as well; else the momentum encoder has its own"
    )


class MoCoConfig(MomentumMethodConfig):
    """MoCo v2: shared by every stage that trains with it; the batch size divides the queue."""

    queue: int = Field(16384, ge=2, description="negatives; at least a batch, at most the data set")
    temperature: float = Field(0.2, gt=0)


class ModelConfig(Config):
    """The network and its self-supervised host, shared by every stage."""

    backbone: BackboneConfig = BackboneConfig()
    moco: MoCoConfig = MoCoConfig()
