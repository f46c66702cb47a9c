"""SAMix-I and SAMix-C: what the Mixer is held to inside a MoCo host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from samix.config.mixing import SSLMixerTrainingConfig
from samix.core.learner import OptimizedModules
from samix.core.step import StepContext
from samix.mixup import Mixer, Pairing
from samix.mixup.mixer.step import Judge, MixerStep, Side, mixer_step
from samix.nn import Encoded, Encoder, momentum_copy
from samix.objectives import ClassObjective, InstanceObjective, mixed_loss


@dataclass(frozen=True)
class HostStep:
    """What the Mixer's training sees of its host's step.

    encoder, the frozen momentum encoder; sides, first and second parents with InstanceTargets; pairing, the
    Mixer's own; objective, for instances; plain, what the momentum encoder made of view q; query_pooled
    (N, width), what the online encoder made of it, with gradient; labels (N,) and weights (C,), if any.
    """

    encoder: Encoder
    sides: tuple[Side, Side]
    pairing: Pairing
    objective: InstanceObjective
    plain: Encoded
    query_pooled: Tensor
    labels: Tensor | None = None
    weights: Tensor | None = None


class MixerTraining(nn.Module, ABC):
    """A Mixer and how it is trained."""

    def __init__(self, mixer: Mixer, config: SSLMixerTrainingConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.config = config

    @abstractmethod
    def losses(self, host: HostStep, ctx: StepContext) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Loss, None in a step without any, and metrics."""

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """The Mixer (and what is trained with it) under its own optimiser."""
        return {"mixer": OptimizedModules([self], self.config.optimizer)}


class InstanceMixerTraining(MixerTraining):
    """SAMix-I: the mixed image is held to the keys of its two parents."""

    def losses(self, host: HostStep, ctx: StepContext) -> tuple[Tensor | None, dict[str, Tensor]]:
        """BCE + eta * mixed infoNCE + beta * mask loss (SAMix-I)."""
        step = instance_step(self.mixer, host, self.config, ctx)
        return (None, {}) if step is None else (step.loss, step.metrics)


class ClusterMixerTraining(MixerTraining):
    """SAMix-C: the mixed image is held to the pseudo labels of its two parents.

    A linear cluster head on the momentum encoder's features learns the pseudo labels; the Mixer is judged
    by a frozen copy of it, refreshed every step.
    """

    def __init__(self, mixer: Mixer, config: SSLMixerTrainingConfig, width: int, classes: int) -> None:
        """width of the features that the head sees; classes, the number of clusters C."""
        super().__init__(mixer, config)
        self.head = nn.Linear(width, classes)
        self.reset_head()
        self.frozen_head = momentum_copy(self.head)

    def reset_head(self) -> None:
        """Forget the clusters, as before labels that have nothing to do with the last ones."""
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def losses(self, host: HostStep, ctx: StepContext) -> tuple[Tensor | None, dict[str, Tensor]]:
        """pBCE + eta * mixed CE + beta * mask loss for the Mixer, CE + mixed CE for the head (SAMix-C).

        Raises: ValueError without labels.
        """
        if host.labels is None:
            raise ValueError("SAMix-C needs labels of the images")
        self.frozen_head.load_state_dict(self.head.state_dict())
        objective, labels = ClassObjective(host.weights), host.labels
        step = self._mixer_step(host, objective, ctx)
        # detached: the head's loss must not reach the Mixer a second time through its images
        logits = self.head(self._features(host.plain).detach())
        head_loss = objective.point_loss(logits, labels).mean()
        if step is not None and step.encoded is not None:
            mixed_logits = self.head(self._features(step.encoded).detach())
            partners = host.pairing.of(labels)
            head_loss = head_loss + mixed_loss(objective, mixed_logits, labels, partners, step.lam)
        top1 = (logits.detach().argmax(1) == labels).float().mean()
        metrics = {"head_loss": head_loss.detach(), "head_top1": top1}
        loss = head_loss
        if self.config.cluster.train_encoder:
            loss = loss + self._encoder_loss(objective, host.query_pooled, labels)
        if step is not None:
            loss, metrics = loss + step.loss, metrics | step.metrics
        return loss, metrics

    def _mixer_step(self, host: HostStep, objective: ClassObjective, ctx: StepContext) -> MixerStep | None:
        if ctx.epoch < self.config.cluster.start_epoch:
            return instance_step(self.mixer, host, self.config, ctx)
        first, second = (side._replace(targets=host.labels) for side in host.sides)
        judge = Judge(host.encoder, lambda e: self.frozen_head(self._features(e)), objective)
        return mixer_step(self.mixer, judge, (first, second), host.pairing, self.config, ctx)

    def _features(self, encoded: Encoded) -> Tensor:
        """What the cluster head sees: pooled features, or the projector's output before normalisation."""
        return encoded.pooled if self.config.cluster.features == "pooled" else encoded.projected

    def _encoder_loss(self, objective: ClassObjective, pooled: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the online encoder's features under the frozen head."""
        return objective.point_loss(self.frozen_head(pooled), labels).mean()


def instance_step(
    mixer: Mixer, host: HostStep, config: SSLMixerTrainingConfig, ctx: StepContext
) -> MixerStep | None:
    """The Mixer's step under the host's instance objective."""
    judge = Judge(host.encoder, lambda e: e.projection, host.objective)
    return mixer_step(mixer, judge, host.sides, host.pairing, config, ctx)
