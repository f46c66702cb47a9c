"""The supervised host."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samix.config.base import Config
from samix.config.data import SupervisedAugmentConfig
from samix.config.mixing import MaskAdjustConfig, MixerTrainingConfig, PolicyConfig
from samix.config.training import OptimizerConfig


class MomentumConfig(Config):
    """The momentum network f_k, g_k of the online form (SAMix, momentum schedule)."""

    start: float = Field(0.999, ge=0, le=1, description="m at the start")
    end: float | None = Field(0.999999, ge=0, le=1, description="m at the end; null: start throughout")
    hold: float = Field(0.1, ge=0, le=1, description="share of training at `start`; 0.25 for transformers")
    ema_buffers: bool = Field(
        False, description="average BatchNorm's statistics as well; else the momentum network has its own"
    )


class SupervisedConfig(Config):
    """Supervised training, shared by the Mixer's pre-training and the training itself."""

    batch_size: int = Field(100, ge=2, description="images of a global batch")
    augment: SupervisedAugmentConfig = SupervisedAugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.1)
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="of all cross-entropies, the Mixer's too")
    heads: Literal["two", "shared"] = Field(
        "two", description="two: one classifier for plain and one for mixed images; shared: one for both"
    )
    plain_weight: float | None = Field(
        None,
        ge=0,
        description="weight of the loss of plain images beside that of the mixed ones; 0: mixed images only, "
        "as static policies are usually trained; null: 1 with samix and samix_p, else 0",
    )
    plain_mix: bool = Field(
        False,
        description="plain images get Mixup (alpha 0.8) or CutMix (alpha 1), each half of the time (DeiT)",
    )
    no_repeat: bool = Field(False, description="no image is mixed with itself")
    momentum: MomentumConfig = MomentumConfig()


class SupervisedMixerConfig(MixerTrainingConfig):
    """Stage mixer_pretraining_sl: SAMix online under labels."""

    epochs: int = Field(100, ge=1)
    mask_adjust: MaskAdjustConfig = MaskAdjustConfig(mode="off", lam_margin=0.08)


class SLTrainingConfig(Config):
    """Stage sl_training: supervised training with a policy."""

    epochs: int = Field(200, ge=1)
    policy: PolicyConfig = PolicyConfig()
