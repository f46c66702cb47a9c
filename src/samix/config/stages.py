"""Parameters of the training stages, as conf/base/parameters_<stage>.yml spells them out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from samix.config.base import Config
from samix.config.clustering import ClusteringConfig
from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.config.names import OneOf
from samix.config.registry import EVALUATIONS
from samix.config.training import OptimizerConfig


class PseudoLabelsConfig(Config):
    """Stage pseudo_labels: online deep clustering from a random or a briefly trained encoder."""

    init: Literal["random", "moco"] = Field(
        "moco", description="start of the encoder; moco: some epochs of the method of model.method"
    )
    init_epochs: int = Field(10, ge=1, description="moco: epochs of the method before the first k-means")
    epochs: int = Field(10, ge=1, description="epochs of online clustering")
    batch_size: int = Field(256, ge=2)
    clustering: ClusteringConfig = ClusteringConfig()
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.06, weight_decay=1e-5, schedule="constant")


class MixerPretrainingConfig(SSLMixerTrainingConfig):
    """Stage mixer_pretraining: SAMix online in self-supervised training."""

    start: Literal["random", "pseudo_labels"] = Field(
        "random", description="first weights of the encoder: random (paper) or stage pseudo_labels' encoder"
    )
    epochs: int = Field(100, ge=1)


class SSLTrainingConfig(Config):
    """Stage ssl_training: the method of model.method with a policy."""

    epochs: int = Field(200, ge=1)
    policy: PolicyConfig = PolicyConfig()


class LinearEvaluationConfig(Config):
    """Stage linear_evaluation: a linear classifier and kNN on frozen features (MoCo's protocol)."""

    protocols: tuple[Annotated[str, OneOf(EVALUATIONS)], ...] = Field(
        ("knn",), description="protocols on the frozen features besides the linear classifier"
    )
    epochs: int = Field(100, ge=1)
    batch_size: int = Field(256, ge=1)
    augmentation: Literal["none", "crop_flip"] = Field(
        "crop_flip",
        description="none: features are computed once; crop_flip: for the crops of every epoch",
    )
    optimizer: OptimizerConfig = OptimizerConfig(
        lr=0.1, weight_decay=0.0, schedule="multistep", milestones=(0.6, 0.8)
    )
    knn_neighbours: int = Field(20, ge=1)
    knn_temperature: float = Field(0.07, gt=0)
