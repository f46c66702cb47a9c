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
from samix.methods.mixed_branch import MixedBranch
from samix.methods.mixer_training import MixerInputs, MixerTraining
from samix.mixup import CutMix, Mixup, Pairing, Policy, draw_lam, draw_local_pairing, mix
from samix.mixup.host import Host, check_policy, offer_of
from samix.mixup.mixer.step import Critic, ParentInputs
from samix.mixup.table import name_of
from samix.nn import Classifier, Features, ema_, momentum_copy
from samix.objectives import ClassObjective, DecoupledCE, MixedBCE, MixedCE, MixedCriterion, mixed_loss

PLAIN, MIXED = "plain", "mixed"


class Supervised(Learner):
    """Cross-entropy of plain images, a loss of mixed ones; a Mixer, if there is one, learns in the same step.

    The momentum network, which gives the Mixer its maps and is its critic, exists if the policy needs maps.
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
        if self.mixer_training is not None:
            self.mixer_training.before_step()
        slow = self._slow(batch.images)
        parents = ParentInputs(batch.images, None if slow is None else slow.tap, batch.labels)
        loss = torch.zeros((), device=batch.images.device)
        metrics: dict[str, Tensor] = {}
        if self.plain_weight:
            plain = self._plain_loss(batch, ctx)
            loss, metrics["loss_plain"] = loss + self.plain_weight * plain, plain.detach()
        if self.policy is not None:
            mixed = self._mixed_loss(self.policy, parents, batch, ctx)
            loss, metrics["loss_mixed"] = loss + mixed, mixed.detach()
        if self.mixer_training is not None and slow is not None:
            pairing = self._pairing("pairing_mixer", batch, ctx)
            own, more = self.mixer_training.losses(self._mixer_inputs(parents, slow), pairing, ctx)
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
        return own | (self.mixer_training.parameter_sets() if self.mixer_training else {})

    @torch.no_grad()
    def _slow(self, images: Tensor) -> Features | None:
        """Features of un-mixed images by the momentum network.

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

    def _mixed_loss(self, policy: Policy, parents: ParentInputs, batch: Labelled, ctx: StepContext) -> Tensor:
        """The configured loss of the policy's images, mixCE by default; no gradient reaches the Mixer."""
        return MixedBranch(policy, self.alpha, self.lam_per_sample).loss(
            host_of(self.classifier),
            self.criterion,
            (parents, parents),
            batch.labels,
            lambda _: self._pairing("pairing", batch, ctx),
            self.objective.point_loss,
            ctx,
        )

    def _mixer_inputs(self, parents: ParentInputs, slow: Features) -> MixerInputs:
        """The critic of the Mixer's images is the momentum network with its head for mixed images."""
        network = self.momentum_classifier
        assert network is not None  # its output is `slow`
        critic = Critic(network, lambda features: network.logits(features, MIXED), self.objective)
        return MixerInputs(critic, (parents, parents), slow)

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
