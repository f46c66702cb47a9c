"""Supervised training with any policy, and SAMix online when a Mixer is trained along (SAMix, SL step)."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.config.supervised import SupervisedConfig
from samix.core.errors import ConfigError
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import generator_for
from samix.core.schedules import momentum_at
from samix.core.step import StepContext
from samix.data import Labelled
from samix.methods.adversarial import (
    AdversarialTraining,
    SupervisedHostStep,
    SupervisedMixerTraining,
)
from samix.mixup import (
    CutMix,
    Mixed,
    Mixup,
    Pairing,
    Policy,
    Seen,
    draw_lam,
    draw_local_pairing,
    mix,
    mixed_term,
    pair_and_mix,
)
from samix.mixup.host import Host, check_policy, draw_ratio, offer_of
from samix.mixup.mixer.step import Judge
from samix.mixup.table import name_of
from samix.nn import Classifier, Features, ema_, momentum_copy
from samix.objectives import ClassObjective, DecoupledCE, MixedBCE, MixedCE, MixedCriterion, mixed_loss

PLAIN, MIXED = "plain", "mixed"


class Supervised(Learner):
    """Cross-entropy of plain images, a loss of mixed ones; a Mixer, if there is one, learns in the same step.

    The momentum network, which gives the Mixer its maps and judges it, exists where the policy asks for maps.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: SupervisedConfig,
        *,
        policy: Policy | None = None,
        alpha: float = 1.0,
        lam_per_sample: bool = False,
        mixer_training: SupervisedMixerTraining | AdversarialTraining | None = None,
    ) -> None:
        """classifier, with the heads that `head_names` tells; policy None: no mixed term; alpha of its lam,
        one a batch or one a sample.

        Raises: ConfigError for a policy that the classifier cannot give what it needs, or that the loss does
        not suit; ValueError for a Mixer to train beside a policy for which no maps are computed.
        """
        super().__init__()
        if policy is not None:
            offer = offer_of(classifier.backbone, labels=True, classes=True)
            check_policy(policy, offer, lam_per_sample=lam_per_sample)
            check_mixed_loss(policy, config)
        needs = frozenset() if policy is None else policy.needs
        if mixer_training is not None and "maps" not in needs:
            raise ValueError("a Mixer is trained on the maps of its policy: take SAMix as the policy")
        self.classifier = classifier
        self.momentum_classifier = momentum_copy(classifier) if "maps" in needs else None
        self.config = config
        self.policy = policy
        self.alpha = alpha
        self.lam_per_sample = lam_per_sample
        self.mixer_training = mixer_training
        self.plain_weight = plain_weight(config, policy)
        self.objective = ClassObjective(smoothing=config.label_smoothing)
        self.criterion = mixed_criterion(config)

    def training_step(self, batch: Labelled, ctx: StepContext) -> dict[str, Tensor]:
        """The numbered step of SAMix under labels; images (N, 3, H, W), labels (N,)."""
        slow = self._slow(batch.images)
        loss = torch.zeros((), device=batch.images.device)
        metrics: dict[str, Tensor] = {}
        if self.plain_weight:
            plain = self._plain_loss(batch, ctx)
            loss, metrics["loss_plain"] = loss + self.plain_weight * plain, plain.detach()
        if self.policy is not None:
            mixed = self._mixed_loss(self.policy, batch, slow, ctx)
            loss, metrics["loss_mixed"] = loss + mixed, mixed.detach()
        if self.mixer_training is not None and slow is not None:
            own, more = self.mixer_training.losses(self._host_step(batch, slow, ctx), ctx)
            loss, metrics = loss if own is None else loss + own, metrics | more
        return {"loss": loss, **metrics}

    def after_step(self, ctx: StepContext) -> None:
        """Keep gamma in range, then let the momentum network follow (after the step, with this step's m)."""
        if self.mixer_training is not None:
            self.mixer_training.after_step()
        if self.momentum_classifier is not None:
            options = self.config.momentum
            m = momentum_at(options.start, options.end, options.hold, ctx.step, ctx.total_steps)
            ema_(self.momentum_classifier, self.classifier, m, buffers=options.ema_buffers)

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Backbone with heads, and the Mixer under its own optimiser."""
        own = {"encoder": OptimizedModules([self.classifier], self.config.optimizer)}
        training = self.mixer_training
        return own | (
            {} if training is None else {"mixer": OptimizedModules([training], training.config.optimizer)}
        )

    @torch.no_grad()
    def _slow(self, images: Tensor) -> Features | None:
        """What the momentum network makes of un-mixed images.

        Stages after the tap run as well: their BatchNorm must not see mixed images alone.
        """
        network = self.momentum_classifier
        return None if network is None else network(images)

    def _plain_loss(self, batch: Labelled, ctx: StepContext) -> Tensor:
        """CE of un-mixed images; with `plain_mix`, of Mixup or CutMix as in DeiT's recipe."""
        if not self.config.plain_mix:
            logits = self.classifier.logits(self.classifier(batch.images), PLAIN)
            return self.objective.point_loss(logits, batch.labels).mean()
        scalars = ctx.numpy_generator("plain_mix")
        policy, alpha = (Mixup(), 0.8) if scalars.random() < 0.5 else (CutMix(), 1.0)
        pairing = self._pairing("pairing_plain", batch, ctx)
        mixed = mix(policy, batch.images, pairing, draw_lam(alpha, scalars), generator=scalars)
        logits = self.classifier.logits(self.classifier(mixed.images), PLAIN)
        return mixed_loss(self.objective, logits, batch.labels, pairing.of(batch.labels), mixed.lam)

    def _mixed_loss(self, policy: Policy, batch: Labelled, slow: Features | None, ctx: StepContext) -> Tensor:
        """The configured loss of the policy's images, mixCE by default; no gradient reaches the Mixer."""
        images, labels, host = batch.images, batch.labels, host_of(self.classifier)
        generator, ratios = ctx.numpy_generator("policy"), ctx.numpy_generator("lam")
        lam = draw_ratio(self.alpha, len(labels), ratios, per_sample=self.lam_per_sample)
        policy, lam = policy.drawn(lam, generator)
        known = Seen(None if slow is None else slow.tap, labels)
        seen = host.look(policy, images, known, lambda logits: self.objective.point_loss(logits, labels))
        draw = lambda: self._pairing("pairing", batch, ctx)  # noqa: E731 - only for policies without a rule
        mixed, pairing = pair_and_mix(policy, images, draw, lam, generator=generator, seen=seen)
        loss = self._of_mixed(host, policy, mixed, labels, pairing)
        if mixed.beside is None:
            return loss
        weight, other = mixed.beside
        return loss + weight * self._of_mixed(host, policy, other, labels, pairing)

    def _of_mixed(self, host: Host, policy: Policy, mixed: Mixed, labels: Tensor, pairing: Pairing) -> Tensor:
        outputs, mixed = host.run(policy, mixed, pairing)
        return mixed_term(self.criterion, outputs, mixed, (labels, labels), pairing)

    def _host_step(self, batch: Labelled, slow: Features, ctx: StepContext) -> SupervisedHostStep:
        """What the Mixer's training needs: its judge is the momentum network with its mixed head."""
        network = self.momentum_classifier
        assert network is not None  # it gave `slow`
        judge = Judge(network, lambda features: network.logits(features, MIXED), self.objective)
        return SupervisedHostStep(judge, batch, slow, lambda: self._pairing("pairing_mixer", batch, ctx))

    def _pairing(self, purpose: str, batch: Labelled, ctx: StepContext) -> Pairing:
        generator = generator_for(ctx.seed, purpose, ctx.step, ctx.rank)
        no_repeat = self.config.no_repeat
        return draw_local_pairing(len(batch.labels), generator, batch.images.device, no_repeat=no_repeat)


def host_of(classifier: Classifier) -> Host:
    """The classifier as policies see it: by its head for mixed images."""
    return Host(classifier, lambda features: classifier.logits(features, MIXED), classifier.head(MIXED))


def check_mixed_loss(policy: Policy | type[Policy], config: SupervisedConfig) -> None:
    """Raise ConfigError for a loss of two classes and a policy that mixes more images."""
    loss = config.mixed_loss.name
    if policy.several and loss != "ce":
        raise ConfigError(
            f"supervised.mixed_loss: {loss} is for two classes, and policy {name_of(policy)} mixes more than "
            "two images: set it to ce."
        )


def mixed_criterion(config: SupervisedConfig) -> MixedCriterion:
    """The loss of the policy's images (see MixedLossConfig), with the host's label smoothing."""
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
    """Heads that are trained, the most telling one last."""
    plain = [PLAIN] if plain_weight(config, policy) else []
    return plain if policy is None else [*plain, MIXED]
