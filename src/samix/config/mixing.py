"""Policies and how the Mixer is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from samix.config.base import Config
from samix.config.names import OneOf, Registered
from samix.config.networks import MixerConfig
from samix.config.options import read_options
from samix.config.registry import POLICIES
from samix.config.training import OptimizerConfig
from samix.core.schedules import BetaSchedule

MixerLoss = Literal["eta_balanced", "global", "global_aux_local", "sigmoid_negweight"]
PolicyName = Annotated[str, OneOf(POLICIES, "none")]


class PolicyConfig(Config):
    """Which policy mixes, and its Beta distribution."""

    name: PolicyName = Field("samix_p", description="none: no mixed term at all")
    alpha: float = Field(2.0, gt=0, description="lam ~ Beta(alpha, alpha)")
    lam: Literal["batch", "sample"] = Field(
        "batch", description="sample: a lam of its own for each image, where the policy takes one"
    )
    options: dict[str, Any] = Field({}, description="the policy's own keywords, see its class in samix.mixup")

    @model_validator(mode="after")
    def _options_are_the_policys(self) -> Self:
        if self.options and self.name == "none":
            raise ValueError("options are of a policy, and name is none")
        if self.options:  # without any the class is not needed, which would import torch
            try:
                read_options(Registered[type](POLICIES)[self.name], self.options)
            except ValueError as error:
                raise PydanticCustomError("options", "{text}", {"text": str(error)}) from error
        return self


class MaskLossConfig(Config):
    """The Mixer's mask loss (SAMix, mask loss)."""

    mode: Literal["l1_variance", "l1", "l2_variance", "sparsity"] = Field(
        "l1_variance",
        description="l1_variance: distance of the mask mean from lam, minus variance; l1: no variance "
        "(AutoMix); l2_variance: squared distance; sparsity: mean of s (1 - s) whatever lam is",
    )
    weight: float = Field(0.1, ge=0, description="beta at the start")
    schedule: BetaSchedule = Field("linear", description="how beta falls over training")
    margin: float = Field(
        0.1, ge=0, lt=1, description="no penalty while |mask mean - lam|, or the mean of s (1 - s), is below"
    )
    variance_weight: float = Field(2.0, ge=0, description="modes with variance: reward for it")
    statistic: Literal["sample", "batch"] = Field("sample", description="mean and variance of what")


class MaskAdjustConfig(Config):
    """Changes of the encoder's mask, never of the Mixer's (SAMix, lambda adjusting)."""

    mode: Literal["auto", "prob", "auto_label", "off"] = Field(
        "auto",
        description="auto: always, beyond the margin; prob: whole batch with probability, no margin; "
        "auto_label: as auto, and plain mixup for pairs of one (pseudo) label",
    )
    margin: float = Field(0.1, ge=0, lt=1, description="auto, auto_label: allowed |mask mean - lam|")
    probability: float = Field(0.25, ge=0, le=1, description="prob: chance that a batch is adjusted")
    smooth_sigma: float | None = Field(
        None, gt=0.5, description="Gaussian blur of the mask with sigma ~ U(0.5, this) pixels; null: none"
    )
    lam_margin: float = Field(
        -1.0, ge=-1, lt=0.5, description="min(lam, 1 - lam) up to here means plain mixup; -1: never"
    )


class MixerTrainingConfig(Config):
    """How the Mixer is trained inside a host, whatever the scenario."""

    alpha: float = Field(2.0, gt=0, description="lam ~ Beta(alpha, alpha), one draw per batch and branch")
    loss: MixerLoss = Field(
        "eta_balanced",
        description="eta_balanced: local + eta * global (paper); global: mixed CE or infoNCE alone; "
        "global_aux_local: global + 0.5 * local, the latter annealed to 0 (released SSL code); "
        "sigmoid_negweight: sigmoid BCE with weight eta off the mixed classes (classes only)",
    )
    eta: float = Field(0.5, ge=0, le=1, description="weight of the global term; 0: the local term alone")
    mixer: MixerConfig = MixerConfig()
    mask_loss: MaskLossConfig = MaskLossConfig()
    mask_adjust: MaskAdjustConfig = MaskAdjustConfig()
    interval: int = Field(1, ge=1, description="the Mixer is trained in every interval-th step")
    switch_off: float = Field(
        0.0, ge=0, le=1, description="p: the Mixer is trained with probability p * c(t) only; 0: always"
    )
    switch_off_schedule: Literal["constant", "cosine", "cosine_compound"] = Field(
        "constant", description="c(t), from 1 on"
    )
    switch_off_keeps_mask_loss: bool = Field(
        False, description="steps without the Mixer's training still have the mask loss (released code)"
    )
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.1, min_lr=1e-3, decay_all=False)

    @property
    def rests(self) -> bool:
        """Whether there are steps in which the Mixer has no gradient."""
        return self.interval > 1 or self.switch_off > 0


class ClusterConfig(Config):
    """How SAMix-C uses labels."""

    labels: Literal["online", "fixed", "true"] = Field(
        "online",
        description="online: pseudo labels that follow the encoder (ODC); fixed: as the stage pseudo_labels "
        "left them; true: the data set's own, for ablations",
    )
    start_epoch: int = Field(0, ge=0, description="SAMix-I before it: first clusters may be poor")
    kmeans_epochs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="online: epochs that begin with a new k-means and a new cluster head"
    )
    features: Literal["pooled", "projection"] = Field(
        "pooled", description="input of the cluster head; projection: the projector's output (ODC's route)"
    )
    train_encoder: bool = Field(False, description="the encoder also learns the clusters of plain images")

    @model_validator(mode="after")
    def _encoder_has_what_the_head_sees(self) -> Self:
        if self.train_encoder and self.features != "pooled":
            raise ValueError("train_encoder: true needs features: pooled")
        if self.kmeans_epochs and self.labels != "online":
            raise ValueError("kmeans_epochs are for labels: online")
        return self


class SSLMixerTrainingConfig(MixerTrainingConfig):
    """How the Mixer is trained inside self-supervised training."""

    objective: Literal["cluster", "instance"] = Field(
        "cluster", description="cluster: SAMix-C, on pseudo labels; instance: SAMix-I"
    )
    cluster: ClusterConfig = ClusterConfig()
    filter_negatives: bool = Field(
        False, description="instance: keys with the target's label are not negatives of the Mixer's loss"
    )

    @property
    def uses_labels(self) -> bool:
        """Whether the Mixer's training needs a label of each image."""
        return self.objective == "cluster" or self.filter_negatives or self.mask_adjust.mode == "auto_label"

    @model_validator(mode="after")
    def _loss_fits(self) -> Self:
        if self.objective == "instance" and self.loss == "sigmoid_negweight":
            raise ValueError("loss: sigmoid_negweight needs classes; objective: instance has none")
        return self
