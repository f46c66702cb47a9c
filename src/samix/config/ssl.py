"""The self-supervised host and the stages that use it."""

from __future__ import annotations

from pydantic import Field

from samix.config.base import Config
from samix.config.data import AugmentConfig
from samix.config.mixing import MixerTrainingConfig, PolicyConfig
from samix.config.networks import ProjectorConfig
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


class MixerPretrainingConfig(MixerTrainingConfig):
    """Stage mixer_pretraining: SAMix online on MoCo v2."""

    epochs: int = Field(100, ge=1)


class SSLTrainingConfig(Config):
    """Stage ssl_training: MoCo v2 with a policy."""

    epochs: int = Field(200, ge=1)
    policy: PolicyConfig = PolicyConfig()
