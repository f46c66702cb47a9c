"""SAMix-I and SAMix-C: what the Mixer is held to inside a MoCo host."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from samix.config.mixing import MixerTrainingConfig
from samix.core.step import StepContext
from samix.learners.base import ParameterSet
from samix.mixup.mixer.mixer import Mixer
from samix.mixup.mixer.step import Judge, mixer_step
from samix.nn import Encoded, Encoder, momentum_copy
from samix.objectives import ClassObjective, InstanceObjective, InstanceTargets, mixed_loss


class MixerTraining(nn.Module, ABC):
    """A Mixer and how it is trained."""

    def __init__(self, mixer: Mixer, config: MixerTrainingConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.config = config

    @abstractmethod
    def losses(
        self,
        encoder: Encoder,
        images: Tensor,
        encoded: Encoded,
        task: tuple[InstanceObjective, InstanceTargets],
        ctx: StepContext,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss for the parameters of this module alone, and metrics.

        Args: encoder, the frozen momentum encoder; images (N, 3, H, W) of view q and what it made of them;
        task, the host's objective and targets.
        """

    def parameter_sets(self) -> dict[str, ParameterSet]:
        """The Mixer (and what is trained with it) under its own optimiser."""
        return {"mixer": ParameterSet([self], self.config.optimizer)}


class InstanceMixerTraining(MixerTraining):
    """SAMix-I: the mixed image is held to the keys of its two parents."""

    def losses(
        self,
        encoder: Encoder,
        images: Tensor,
        encoded: Encoded,
        task: tuple[InstanceObjective, InstanceTargets],
        ctx: StepContext,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """BCE + eta * mixed infoNCE + beta * mask loss (SAMix-I)."""
        judge = Judge(encoder, lambda e: e.projection, *task)
        step = mixer_step(self.mixer, judge, images, encoded.tap, self.config, ctx)
        return step.loss, step.metrics


class ClusterMixerTraining(MixerTraining):
    """SAMix-C: the mixed image is held to the pseudo labels of its two parents.

    A linear cluster head on the momentum encoder's pooled features learns the pseudo labels; the Mixer is
    judged by a frozen copy of it, refreshed every step.
    """

    labels: Tensor
    weights: Tensor

    def __init__(
        self, mixer: Mixer, config: MixerTrainingConfig, width: int, labels: Tensor, weights: Tensor
    ) -> None:
        """width of the pooled features; labels (M,) of the training images; weights (C,) of the clusters."""
        super().__init__(mixer, config)
        self.head = nn.Linear(width, len(weights))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.frozen_head = momentum_copy(self.head)
        self.register_buffer("labels", labels)
        self.register_buffer("weights", weights)

    def losses(
        self,
        encoder: Encoder,
        images: Tensor,
        encoded: Encoded,
        task: tuple[InstanceObjective, InstanceTargets],
        ctx: StepContext,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """pBCE + eta * mixed CE + beta * mask loss for the Mixer, CE + mixed CE for the head (SAMix-C)."""
        self.frozen_head.load_state_dict(self.head.state_dict())
        objective = ClassObjective(self.weights)
        labels = self.labels[task[1].index]
        judge = Judge(encoder, lambda e: self.frozen_head(e.pooled), objective, labels)
        step = mixer_step(self.mixer, judge, images, encoded.tap, self.config, ctx)
        # detached: the head's loss must not reach the Mixer a second time through its images
        logits = self.head(encoded.pooled.detach())
        mixed_logits = self.head(step.encoded.pooled.detach())
        head_loss = objective.point_loss(logits, labels).mean() + mixed_loss(
            objective, mixed_logits, labels, step.pairing.of(labels), step.lam
        )
        with torch.no_grad():
            top1 = (logits.argmax(1) == labels).float().mean()
        metrics = {"head_loss": head_loss.detach(), "head_top1": top1}
        return step.loss + head_loss, step.metrics | metrics
