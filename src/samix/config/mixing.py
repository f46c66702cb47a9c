"""Policies and how the Mixer is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samix.config.base import Config
from samix.config.networks import MixerConfig
from samix.config.training import OptimizerConfig
from samix.core.schedules import BetaSchedule

PolicyName = Literal["none", "mixup", "cutmix", "samix", "samix_p"]


class PolicyConfig(Config):
    """Which policy mixes, and its Beta distribution."""

    name: PolicyName = Field("samix_p", description="none: no mixed term at all")
    alpha: float = Field(2.0, gt=0, description="lam ~ Beta(alpha, alpha), one draw a batch")


class MaskLossConfig(Config):
    """The Mixer's mask loss (SAMix, mask loss)."""

    weight: float = Field(0.1, ge=0, description="beta at the start")
    schedule: BetaSchedule = Field("linear", description="how beta falls over training")
    margin: float = Field(0.1, ge=0, lt=1, description="no penalty while |mask mean - lam| is below")
    variance_weight: float = Field(2.0, ge=0, description="reward for the variance of a mask")
    statistic: Literal["sample", "batch"] = Field("sample", description="mean and variance of what")


class MaskAdjustConfig(Config):
    """What is done to the encoder's mask, never to the Mixer's (SAMix, lambda adjusting)."""

    mode: Literal["auto", "prob", "off"] = Field(
        "auto", description="auto: always, beyond the margin; prob: whole batch with probability, no margin"
    )
    margin: float = Field(0.1, ge=0, lt=1, description="auto: allowed |mask mean - lam|")
    probability: float = Field(0.25, ge=0, le=1, description="prob: chance that a batch is adjusted")
    lam_margin: float = Field(
        -1.0, ge=-1, lt=0.5, description="min(lam, 1 - lam) up to here means plain mixup; -1: never"
    )


class MixerTrainingConfig(Config):
    """How the Mixer is trained inside a host."""

    objective: Literal["cluster", "instance"] = Field(
        "cluster", description="cluster: SAMix-C, on pseudo labels; instance: SAMix-I"
    )
    alpha: float = Field(2.0, gt=0, description="lam ~ Beta(alpha, alpha), one draw a batch and branch")
    eta: float = Field(0.5, ge=0, le=1, description="weight of the global term")
    mixer: MixerConfig = MixerConfig()
    mask_loss: MaskLossConfig = MaskLossConfig()
    mask_adjust: MaskAdjustConfig = MaskAdjustConfig()
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.1, min_lr=1e-3, decay_all=False)
