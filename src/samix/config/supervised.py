"""The supervised host."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from samix.config.base import Config
from samix.config.data import SupervisedAugmentConfig
from samix.config.mixing import MaskAdjustConfig, MixerTrainingConfig, PolicyConfig
from samix.config.training import OptimizerConfig


class EMAConfig(Config):
    """m of the momentum network f_k, g_k of the online form (SAMix, momentum schedule)."""

    start: float = Field(0.999, ge=0, le=1, description="m at the start")
    end: float | None = Field(0.999999, ge=0, le=1, description="m at the end; null: start throughout")
    hold: float = Field(0.1, ge=0, le=1, description="share of training at `start`; 0.25 for transformers")
    ema_buffers: bool = Field(
        False, description="average BatchNorm's statistics as well; else the momentum network has its own"
    )


_DM_CE, _BCE, _DM_BCE = ("dm_ce",), ("bce", "dm_bce"), ("dm_bce",)
_TAKERS = {
    **dict.fromkeys(("eta", "selection", "power", "as_released"), _DM_CE),
    **dict.fromkeys(("xi", "tau", "two_hot"), _DM_BCE),
    "reduction": _BCE,
}
"""Which losses take an option."""


class MixedLossConfig(Config):
    """The loss of the policy's images (Decoupled Mixup, MCE, MBCE); label_smoothing is the host's."""

    name: Literal["ce", "bce", "dm_ce", "dm_bce"] = Field(
        "ce",
        description="ce: mixed cross-entropy; bce: sigmoids with the shares as targets (RSB); dm_ce: ce and "
        "for each parent a softmax without its partner; dm_bce: bce with targets raised above the shares",
    )
    eta: float = Field(0.1, ge=0, description="dm_ce: weight of the decoupled term")
    selection: Literal["both", "less", "more"] = Field(
        "both", description="dm_ce: of both parents, or of the one with the smaller or the larger share alone"
    )
    power: float = Field(0.0, ge=0, description="dm_ce: the weight of a parent is eta * share ** power")
    as_released: bool = Field(
        False, description="dm_ce: weights change places by the class numbers of a batch's first mixed pair"
    )
    xi: float = Field(0.8, gt=0, le=1, description="dm_bce: shares from here on have target 1")
    tau: float = Field(1.0, gt=0, description="dm_bce: the target is (share / xi) ** tau below xi")
    two_hot: bool = Field(False, description="dm_bce: target 1 for both parents, whatever their shares")
    reduction: Literal["sum_classes", "mean"] = Field(
        "sum_classes", description="bce, dm_bce: over the classes of a sample"
    )

    @model_validator(mode="after")
    def _options_have_a_taker(self) -> Self:
        fields = type(self).model_fields
        for option, takers in _TAKERS.items():
            if self.name not in takers and getattr(self, option) != fields[option].default:
                raise ValueError(f"{option} is an option of {' and '.join(takers)}; name is {self.name}")
        if self.two_hot and (self.xi, self.tau) != (fields["xi"].default, fields["tau"].default):
            raise ValueError("two_hot: true leaves no use for xi and tau")
        return self


class SupervisedConfig(Config):
    """Supervised training, shared by the Mixer's pre-training and the training itself."""

    renamed = {"momentum": "ema"}

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
        description="weight of the loss of plain images in the sum with mixed ones; 0: mixed images only, "
        "as static policies are usually trained; null: 1 with samix and samix_p, else 0",
    )
    mixed_loss: MixedLossConfig = Field(
        MixedLossConfig(),
        description="of the policy's images; plain images and the Mixer have cross-entropies of their own",
    )
    plain_mix: bool = Field(
        False,
        description="plain images get Mixup (alpha 0.8) or CutMix (alpha 1), each half of the time (DeiT)",
    )
    no_repeat: bool = Field(False, description="no image is mixed with itself")
    ema: EMAConfig = EMAConfig()


class SupervisedMixerConfig(MixerTrainingConfig):
    """Stage mixer_pretraining_sl: SAMix online under labels."""

    epochs: int = Field(100, ge=1)
    mask_adjust: MaskAdjustConfig = MaskAdjustConfig(mode="off", lam_margin=0.08)


class SLTrainingConfig(Config):
    """Stage sl_training: supervised training with a policy."""

    epochs: int = Field(200, ge=1)
    policy: PolicyConfig = PolicyConfig()
