"""Supervised training with any policy, and SAMix online if its Mixer is trained too (SAMix, SL step)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from samix.config.supervised import SupervisedConfig
from samix.core.errors import ConfigError
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import Stream, generator_for
from samix.core.schedules import ema_at
from samix.core.step import BatchShape, StepContext
from samix.data import Labelled
from samix.methods.mixed_branch import MixedBranch
from samix.methods.mixer_training import MixerInputs, MixerTraining
from samix.mixup import (
    CutMix,
    MixDraws,
    Mixup,
    Pairing,
    Policy,
    draw_lam,
    draw_local_pairing,
    draw_policy,
    expanded,
    mix,
    to_device,
)
from samix.mixup.adapter import Adapter, capabilities_of, check_policy
from samix.mixup.mixer.step import Critic, ParentInputs
from samix.mixup.table import name_of
from samix.nn import Classifier, Features, ema_, frozen_copy
from samix.objectives import ClassObjective, DecoupledCE, MixedBCE, MixedCE, MixedCriterion, mixed_loss

PLAIN, MIXED = "plain", "mixed"
_PLAIN_POLICIES: tuple[tuple[Policy, float], ...] = ((Mixup(), 0.8), (CutMix(), 1.0))
"""DeiT's: Mixup with alpha 0.8 and CutMix with alpha 1."""


class SupervisedDraws(NamedTuple):
    """Draws of a step: of the mixed images, of the Mixer's training, and of `plain_mix` with the index of its
    policy, which selects the graph.
    """

    mix: MixDraws | None
    mixer: Any
    plain: MixDraws | None
    plain_policy: int = 0


class Supervised(Learner):
    """Cross-entropy of plain images plus a loss of mixed ones; a Mixer, if any, learns in the same step.

    The momentum network, which computes the Mixer's maps and is its critic, exists if the policy requires
    maps. In contrast to `SelfSupervised`: one view, two heads, a choice of losses, targets without a teacher.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: SupervisedConfig,
        *,
        policy: Policy | None = None,
        alpha: float = 1.0,
        lam_per_sample: bool = False,
        mixer_training: MixerTraining | None = None,
    ) -> None:
        """classifier, with the heads that `head_names` lists; policy, None: no mixed term; alpha of its lam,
        one per batch or one per sample.

        Raises: ConfigError for a policy that does not fit the classifier or the loss; ValueError for a Mixer
        with a policy that requires no maps.
        """
        super().__init__()
        if policy is not None:
            capabilities = capabilities_of(classifier.backbone, labels=True, classes=True)
            check_policy(policy, capabilities, lam_per_sample=lam_per_sample)
            check_mixed_loss(policy, config)
        requires = frozenset() if policy is None else policy.requires
        if mixer_training is not None and "maps" not in requires:
            raise ValueError("a Mixer is trained on the maps of its policy: take SAMix as the policy")
        self.classifier = classifier
        self.momentum_classifier = frozen_copy(classifier) if "maps" in requires else None
        self.config = config
        self.policy = policy
        self.alpha = alpha
        self.lam_per_sample = lam_per_sample
        self.mixer_training = mixer_training
        self.plain_weight = plain_weight(config, policy)
        self.objective = ClassObjective(smoothing=config.label_smoothing)
        self.criterion = mixed_criterion(config)

    def draw(self, batch: Labelled, ctx: StepContext) -> SupervisedDraws:
        """See Learner."""
        n, _, height, width = batch.images.shape
        shape = BatchShape(n, height, width)
        mix = mixer = plain = None
        place = 0
        if self.policy is not None:
            shape = adapter_of(self.classifier).shape(self.policy, n, height, width)
            branch = MixedBranch(self.policy, self.alpha, self.lam_per_sample)
            mix = branch.draw(ctx, shape, lambda _: self._pairing(Stream.PAIRING, n, ctx))
        if self.mixer_training is not None:
            mixer = self.mixer_training.draw(ctx, shape, self._pairing(Stream.PAIRING_MIXER, n, ctx))
        if self.plain_weight and self.config.plain_mix:
            rng = ctx.numpy_generator(Stream.PLAIN_MIX)
            place = 0 if rng.random() < 0.5 else 1
            policy, alpha = _PLAIN_POLICIES[place]
            lam = draw_lam(alpha, rng)
            pairing = self._pairing(Stream.PAIRING_PLAIN, n, ctx)
            plain = draw_policy(policy, lam, rng, shape, lambda _: pairing)
        draws = to_device(SupervisedDraws(mix, mixer, plain, place), ctx.device)
        if self.policy is None or draws.mix is None:
            return draws
        return draws._replace(mix=expanded(self.policy, draws.mix, shape, ctx.device))

    def before_step(self, ctx: StepContext) -> None:  # noqa: ARG002
        """See Learner."""
        if self.mixer_training is not None:
            self.mixer_training.before_step()

    def training_step(self, batch: Labelled, draws: SupervisedDraws) -> dict[str, Tensor]:
        """The training step of SAMix with labels (SL); images (N, 3, H, W), labels (N,)."""
        slow = self._slow(batch.images)
        terms: list[Tensor] = []
        metrics: dict[str, Tensor] = {}
        if self.plain_weight:
            plain = self._plain_loss(batch, draws)
            terms.append(plain if self.plain_weight == 1 else self.plain_weight * plain)
            metrics["loss_plain"] = plain.detach()
        parent = ParentInputs(batch.images, None if slow is None else slow.tap, batch.labels)
        if self.policy is not None and draws.mix is not None:
            mixed = MixedBranch(self.policy, self.alpha, self.lam_per_sample).loss(
                adapter_of(self.classifier),
                self.criterion,
                (parent, parent),
                batch.labels,
                draws.mix,
                self.objective.point_loss,
            )
            terms.append(mixed)
            metrics["loss_mixed"] = mixed.detach()
        if self.mixer_training is not None and slow is not None:
            inputs = MixerInputs(self._critic(), (parent, parent), slow, batch.labels)
            own, more = self.mixer_training.losses(inputs, draws.mixer)
            terms, metrics = terms if own is None else [*terms, own], metrics | more
        return {"loss": sum_of(terms), **metrics}

    def after_step(self, ctx: StepContext) -> None:
        """Clamp gamma, then update the momentum network (after the step, with this step's m)."""
        if self.mixer_training is not None:
            self.mixer_training.after_step()
        if self.momentum_classifier is not None:
            options = self.config.ema
            m = ema_at(options.start, options.end, options.hold, ctx.step, ctx.total_steps)
            ema_(self.momentum_classifier, self.classifier, m, buffers=options.ema_buffers)

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Backbone with heads, and the Mixer under its own optimiser."""
        own = {"encoder": OptimizedModules([self.classifier], self.config.optimizer)}
        return own | (self.mixer_training.parameter_sets() if self.mixer_training else {})

    @torch.no_grad()
    def _slow(self, images: Tensor) -> Features | None:
        """Output of the momentum network for un-mixed images.

        Stages after the tap run as well, so that their BatchNorm does not only see mixed images.
        """
        network = self.momentum_classifier
        return None if network is None else network(images)

    def _plain_loss(self, batch: Labelled, draws: SupervisedDraws) -> Tensor:
        """CE of un-mixed images; with `plain_mix`, of Mixup or CutMix as in DeiT's recipe."""
        if draws.plain is None:
            logits = self.classifier.logits(self.classifier(batch.images), PLAIN)
            return self.objective.point_loss(logits, batch.labels).mean()
        mixed = mix(_PLAIN_POLICIES[draws.plain_policy][0], batch.images, draws.plain)
        logits = self.classifier.logits(self.classifier(mixed.images), PLAIN)
        targets = mixed.targets_of(batch.labels, batch.labels)
        return mixed_loss(self.objective, logits, targets, mixed.weights)

    def _critic(self) -> Critic:
        """The momentum network with its mixed head."""
        network = self.momentum_classifier
        assert network is not None  # the policy requires maps
        return Critic(network, lambda features: network.logits(features, MIXED), self.objective)

    def _pairing(self, purpose: str, n: int, ctx: StepContext) -> Pairing:
        generator = generator_for(ctx.seed, purpose, ctx.step, ctx.rank)
        return draw_local_pairing(n, generator, no_repeat=self.config.no_repeat)


def adapter_of(classifier: Classifier) -> Adapter:
    """The classifier with its head for mixed images, as policies use it."""
    return Adapter(classifier, lambda features: classifier.logits(features, MIXED), classifier.head(MIXED))


def sum_of(terms: list[Tensor]) -> Tensor:
    """Sum of scalars, without a zero to start from.

    inductor simplifies 0 + x and 1 * x to x, and returns one tensor for it and for a metric x.detach(), which
    then has no gradient.
    """
    total, *others = terms
    for term in others:
        total = total + term
    return total


def check_mixed_loss(policy: Policy | type[Policy], config: SupervisedConfig) -> None:
    """Raise ConfigError for a loss for two classes and a policy that mixes more than two images."""
    loss = config.mixed_loss.name
    if policy.many_parents and loss != "ce":
        raise ConfigError(
            f"supervised.mixed_loss: {loss} is for two classes, and policy {name_of(policy)} mixes more than "
            "two images: set it to ce."
        )


def mixed_criterion(config: SupervisedConfig) -> MixedCriterion:
    """The loss of the policy's images (see MixedLossConfig), with the label smoothing of the training."""
    loss, smoothing = config.mixed_loss, config.label_smoothing
    if loss.name == "ce":
        return MixedCE(ClassObjective(smoothing=smoothing))
    if loss.name == "dm_ce":
        return DecoupledCE(smoothing, loss.eta, loss.selection, loss.power, loss.as_released)
    if loss.name == "bce":
        return MixedBCE(smoothing, reduction=loss.reduction)
    return MixedBCE(smoothing, loss.xi, loss.tau, loss.two_hot, loss.reduction)


def plain_weight(config: SupervisedConfig, policy: Policy | None) -> float:
    """Weight of the loss of plain images (see SupervisedConfig.plain_weight)."""
    if policy is None:
        return 1.0
    return policy.plain_weight if config.plain_weight is None else config.plain_weight


def head_names(config: SupervisedConfig, policy: Policy | None) -> list[str]:
    """Names of the trained heads; the last one is that whose accuracy is reported as the headline."""
    plain = [PLAIN] if plain_weight(config, policy) else []
    return plain if policy is None else [*plain, MIXED]
