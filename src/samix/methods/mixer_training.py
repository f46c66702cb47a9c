"""Training of a Mixer inside a learner, with one interface for labels, pseudo labels and instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from samix.config.mixing import MixerTrainingConfig, SSLMixerTrainingConfig
from samix.core.learner import OptimizedModules
from samix.core.step import BatchShape, StepContext
from samix.mixup import Mixer, Pairing
from samix.mixup.mixer.step import (
    Critic,
    MixerStep,
    MixerStepDraws,
    ParentInputs,
    draw_mixer_step,
    mixer_step,
)
from samix.nn import Encoded, frozen_copy
from samix.objectives import ClassObjective, mixed_loss

Terms = tuple[Tensor | None, dict[str, Tensor]]
"""Loss with gradient, None in a step without a loss, and metrics."""


@dataclass(frozen=True)
class MixerInputs:
    """Inputs of the Mixer's training, from the step of the learner.

    critic, which scores the mixed images; parents, first and second ones; plain, the teacher's output for the
    images of the first parents; labels (N,) and weights (C,) of their classes, if there are any; pooled
    (N, width), the trained encoder's features of the plain images, with gradient.
    """

    critic: Critic
    parents: tuple[ParentInputs, ParentInputs]
    plain: Any
    labels: Tensor | None = None
    weights: Tensor | None = None
    pooled: Tensor | None = None


class MixerTraining(nn.Module):
    """A Mixer that learns by the critic of the learner: SAMix and AutoMix with labels, SAMix-I."""

    def __init__(self, mixer: Mixer, config: MixerTrainingConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.config = config

    def draw(self, ctx: StepContext, shape: BatchShape, pairing: Pairing) -> Any:  # noqa: ARG002
        """Draws and scheduled numbers of a step; pairing, the Mixer's own."""
        return draw_mixer_step(self.mixer, self.config, ctx, pairing)

    def before_step(self) -> None:
        """Called before the forward pass, outside the graph."""

    def losses(self, inputs: MixerInputs, draws: Any) -> Terms:
        """local + eta * global + beta * mask loss (SAMix, eta-balanced loss)."""
        step = mixer_step(self.mixer, inputs.critic, inputs.parents, draws, self.config)
        return (None, {}) if step is None else (step.loss, step.metrics)

    def after_step(self) -> None:
        """Clamp gamma to its range."""
        self.mixer.clamp_gamma()

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """The Mixer, and heads that are trained with it, with their own optimiser."""
        return {"mixer": OptimizedModules([self], self.config.optimizer)}


class ClusterDraws(NamedTuple):
    """Draws of the Mixer; by_cluster, False before `start_epoch`, which selects the graph."""

    step: MixerStepDraws
    by_cluster: bool


class ClusterMixerTraining(MixerTraining):
    """SAMix-C: the mixed image is scored against the pseudo labels of its two parents.

    A linear cluster head on the momentum encoder's features learns the pseudo labels; the critic of the Mixer
    is a frozen copy of it, refreshed before every step.
    """

    config: SSLMixerTrainingConfig

    def __init__(self, mixer: Mixer, config: SSLMixerTrainingConfig, width: int, classes: int) -> None:
        """width of the features of the head's input; classes, the number of clusters C."""
        super().__init__(mixer, config)
        self.head = nn.Linear(width, classes)
        self.reset_head()
        self.frozen_head = frozen_copy(self.head)

    def reset_head(self) -> None:
        """Reset the head, for new labels that do not correspond to the old ones."""
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def draw(self, ctx: StepContext, shape: BatchShape, pairing: Pairing) -> ClusterDraws:
        """See MixerTraining."""
        by_cluster = ctx.epoch >= self.config.cluster.start_epoch
        return ClusterDraws(super().draw(ctx, shape, pairing), by_cluster)

    def before_step(self) -> None:
        """Refresh the frozen copy of the head."""
        self.frozen_head.load_state_dict(self.head.state_dict())

    def losses(self, inputs: MixerInputs, draws: ClusterDraws) -> Terms:
        """pBCE + eta * mixed CE + beta * mask loss for the Mixer, CE + mixed CE for the head (SAMix-C).

        Raises: ValueError without labels.
        """
        if inputs.labels is None:
            raise ValueError("SAMix-C requires labels of the images")
        objective, labels = ClassObjective(inputs.weights), inputs.labels
        step = self._mixer_step(inputs, objective, draws)
        # detached: the head's loss must not reach the Mixer a second time through its images
        logits = self.head(self._features(inputs.plain).detach())
        head_loss = objective.point_loss(logits, labels).mean()
        if step is not None and step.encoded is not None:
            mixed_logits = self.head(self._features(step.encoded).detach())
            targets = (labels, draws.step.pairing.select(labels))
            head_loss = head_loss + mixed_loss(objective, mixed_logits, targets, step.weights)
        top1 = (logits.detach().argmax(1) == labels).float().mean()
        metrics = {"head_loss": head_loss.detach(), "head_top1": top1}
        loss = head_loss
        if self.config.cluster.train_encoder and inputs.pooled is not None:
            loss = loss + objective.point_loss(self.frozen_head(inputs.pooled), labels).mean()
        if step is not None:
            loss, metrics = loss + step.loss, metrics | step.metrics
        return loss, metrics

    def _mixer_step(
        self, inputs: MixerInputs, objective: ClassObjective, draws: ClusterDraws
    ) -> MixerStep | None:
        if not draws.by_cluster:
            return mixer_step(self.mixer, inputs.critic, inputs.parents, draws.step, self.config)
        first, second = (parent._replace(targets=inputs.labels) for parent in inputs.parents)
        outputs_of = lambda encoded: self.frozen_head(self._features(encoded))  # noqa: E731
        critic = Critic(inputs.critic.encode, outputs_of, objective)
        return mixer_step(self.mixer, critic, (first, second), draws.step, self.config)

    def _features(self, encoded: Encoded) -> Tensor:
        """Input of the cluster head: pooled features, or the projector's output before normalisation."""
        return encoded.pooled if self.config.cluster.features == "pooled" else encoded.projection
