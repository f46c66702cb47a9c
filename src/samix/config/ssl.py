"""The self-supervised host."""

from __future__ import annotations

from pydantic import Field

from samix.config.base import Config
from samix.config.data import AugmentConfig
from samix.config.networks import BackboneConfig, ProjectorConfig
from samix.config.training import OptimizerConfig


class MoCoConfig(Config):
    """MoCo v2: shared by every stage that trains with it."""

    batch_size: int = Field(256, ge=2, description="images of a global batch; divides the queue")
    queue: int = Field(16384, ge=2, description="negatives; at least a batch, at most the data set")
    temperature: float = Field(0.2, gt=0)
    momentum: float = Field(0.999, ge=0, le=1, description="of the momentum encoder")
    projector: ProjectorConfig = ProjectorConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()


class ModelConfig(Config):
    """The network and its self-supervised host, shared by every stage."""

    backbone: BackboneConfig = BackboneConfig()
    moco: MoCoConfig = MoCoConfig()
