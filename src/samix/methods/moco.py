"""MoCo v2 with any policy, and SAMix online when a Mixer is trained along (He et al. 2020; SAMix)."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.config.ssl import MoCoConfig
from samix.core import distributed
from samix.core.errors import ConfigError
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import generator_for
from samix.core.step import StepContext
from samix.data import TwoViews
from samix.methods.labels import LabelSource
from samix.methods.mixer_training import HostStep, MixerTraining
from samix.mixup import Pairing, Policy, Seen, draw_local_pairing, draw_pairing, mixed_term, pair_and_mix
from samix.mixup.host import Host, check_policy, draw_ratio, offer_of
from samix.mixup.mixer.step import Side
from samix.nn import Encoded, Encoder, KeyQueue, ema_, momentum_copy
from samix.objectives import InstanceObjective, InstanceTargets, MixedCE


class MoCo(Learner):
    """Momentum contrast with a queue; the losses of the plain and of the mixed images are added.

    Which view builds the mixed image and which gives its targets is the cross-view rule: `config.cross_view`.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: MoCoConfig,
        *,
        seed: int,
        policy: Policy | None = None,
        alpha: float = 2.0,
        lam_per_sample: bool = False,
        mixer_training: MixerTraining | None = None,
        labels: LabelSource | None = None,
    ) -> None:
        """policy None: no mixed term; alpha of its lam, one a batch or one a sample; mixer_training: how its
        Mixer learns, if it does; labels: of the training images, where the policy or the Mixer's training
        wants them.

        Raises: ValueError for a Mixer to train beside a policy for which no maps are computed; ConfigError
        for a policy that the host cannot give what it needs.
        """
        super().__init__()
        needs = frozenset() if policy is None else policy.needs
        if mixer_training is not None and "maps" not in needs:
            raise ValueError("a Mixer is trained on the maps of its policy: take SAMix as the policy")
        self.same_view_targets = config.cross_view in ("same", "same_swap")
        self.other_view_partners = config.cross_view in ("swap", "same_swap")
        if policy is not None:
            known, one_view = labels is not None, not self.other_view_partners
            offer = offer_of(encoder.backbone, labels=known, classes=False, one_view=one_view)
            check_policy(policy, offer, lam_per_sample=lam_per_sample)
        self.encoder = encoder
        self.momentum_encoder = momentum_copy(encoder)
        self.queue = KeyQueue(config.queue, config.projector.out, generator_for(seed, "queue"))
        self.config = config
        self.policy = policy
        self.alpha = alpha
        self.mixer_training = mixer_training
        self.lam_per_sample = lam_per_sample
        self.labels = labels
        needs_q = policy is not None and config.cross_view != "q2k"
        self.momentum_sees_q = "maps" in needs or needs_q
        self._new: tuple[Tensor, Tensor]

    def training_step(self, batch: TwoViews, ctx: StepContext) -> dict[str, Tensor]:
        """The numbered step of MoCo and SAMix; (N, 3, H, W) a view."""
        ema_(self.momentum_encoder, self.encoder, self.config.momentum, buffers=self.config.ema_buffers)
        query = self.encoder(batch.view_q)
        seen_q, seen_k = self._momentum_pass(batch, ctx)
        labels = None if self.labels is None else self.labels.of(batch.index)
        objective = self._objective()

        keys = InstanceTargets(seen_k.projection, batch.index)
        logits = objective.logits(query.projection, keys)
        plain = objective.loss_of(logits).mean()
        metrics = {"loss_ssl": plain.detach(), "queue_top1": (logits.argmax(1) == 0).float().mean()}
        loss = plain
        if self.policy is not None:
            sides = self._sides(batch, seen_q, seen_k, labels)
            mixed = self._mixed_loss(self.policy, sides, labels, ctx)
            loss = loss + mixed
            metrics["loss_mixed"] = mixed.detach()
            if self.mixer_training is not None and seen_q is not None:
                own, more = self._mixer_losses(sides, seen_q, query.pooled, labels, ctx)
                loss = loss if own is None else loss + own
                metrics |= more
        self._new = (seen_k.projection, batch.index)
        return {"loss": loss, **metrics}

    def after_step(self, ctx: StepContext) -> None:
        """Enqueue the keys, which before the backward pass would change what it needs; update the labels."""
        keys, index = self._new
        if self.labels is not None:
            self.labels.follow(index, keys, ctx.step)
        self.queue.enqueue(distributed.all_gather(keys), distributed.all_gather(index))
        if self.mixer_training is not None:
            self.mixer_training.mixer.clamp_gamma()

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """The encoder, and what the Mixer's training brings."""
        own = {"encoder": OptimizedModules([self.encoder], self.config.optimizer)}
        return own | (self.mixer_training.parameter_sets() if self.mixer_training else {})

    def _objective(self, filtered: bool = False) -> InstanceObjective:
        labels = self.labels.of(self.queue.index) if filtered and self.labels is not None else None
        return InstanceObjective(self.queue.keys, self.config.temperature, labels)

    @torch.no_grad()
    def _momentum_pass(self, batch: TwoViews, ctx: StepContext) -> tuple[Encoded | None, Encoded]:
        """What the momentum encoder makes of view q, where that is wanted, and of view k."""
        generator = ctx.shared_generator("shuffle")
        if not self.momentum_sees_q:
            return None, _encode_shuffled(self.momentum_encoder, batch.view_k, generator)
        n = len(batch.view_q)
        both = torch.cat([batch.view_q, batch.view_k])
        encoded = _encode_shuffled(self.momentum_encoder, both, generator)
        return encoded.rows(0, n), encoded.rows(n, 2 * n)

    def _sides(
        self, batch: TwoViews, seen_q: Encoded | None, seen_k: Encoded, labels: Tensor | None
    ) -> tuple[Side, Side]:
        """First and second parents by the cross-view rule (SAMix, table of cross views)."""
        views = {"q": (batch.view_q, seen_q), "k": (batch.view_k, seen_k)}

        def side(view: str) -> Side:
            images, seen = views[view]
            other = view if self.same_view_targets else {"q": "k", "k": "q"}[view]
            target = views[other][1]
            assert target is not None  # the momentum encoder sees q under every rule that asks for it
            maps = None if seen is None else seen.tap
            return Side(images, maps, InstanceTargets(target.projection, batch.index, labels))

        return side("q"), side("k" if self.other_view_partners else "q")

    def _mixed_loss(
        self, policy: Policy, sides: tuple[Side, Side], labels: Tensor | None, ctx: StepContext
    ) -> Tensor:
        first, second = sides
        host, objective, images = host_of(self.encoder), self._objective(), first.images
        generator, ratios = ctx.numpy_generator("policy"), ctx.numpy_generator("lam")
        lam = draw_ratio(self.alpha, len(images), ratios, per_sample=self.lam_per_sample)
        policy, lam = policy.drawn(lam, generator)

        def look(side: Side) -> Seen:
            known = Seen(side.maps, labels)
            return host.look(policy, side.images, known, lambda z: objective.point_loss(z, side.targets))

        mixed, pairing = pair_and_mix(
            policy,
            images,
            lambda: self._pairing(policy, images, ctx),
            lam,
            generator=generator,
            seen=look(first),
            others=(second.images, look(second)) if self.other_view_partners else None,
        )
        outputs, mixed = host.run(policy, mixed, pairing)
        return mixed_term(MixedCE(objective), outputs, mixed, (first.targets, second.targets), pairing)

    def _pairing(self, policy: Policy, images: Tensor, ctx: StepContext) -> Pairing:
        """Over all ranks; where features are mixed, whose gradient stays on its rank, among its own."""
        if policy.inside == "never":
            return draw_pairing(len(images), ctx.shared_generator("pairing"), images.device)
        own = generator_for(ctx.seed, "pairing", ctx.step, ctx.rank)
        return draw_local_pairing(len(images), own, images.device, no_repeat=True)

    def _mixer_losses(
        self,
        sides: tuple[Side, Side],
        plain: Encoded,
        query_pooled: Tensor,
        labels: Tensor | None,
        ctx: StepContext,
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        training: MixerTraining = self.mixer_training  # type: ignore[assignment]  # the caller has checked
        pairing = draw_pairing(len(plain.tap), ctx.shared_generator("pairing_mixer"), plain.tap.device)
        host = HostStep(
            encoder=self.momentum_encoder,
            sides=sides,
            pairing=pairing,
            objective=self._objective(filtered=training.config.filter_negatives),
            plain=plain,
            query_pooled=query_pooled,
            labels=labels,
            weights=None if self.labels is None else self.labels.class_weights(),
        )
        loss, metrics = training.losses(host, ctx)
        return loss, metrics | ({} if self.labels is None else self.labels.metrics())


def host_of(encoder: Encoder) -> Host:
    """The encoder as policies see it: by its projection."""
    return Host(encoder, lambda encoded: encoded.projection)


def check_moco(config: MoCoConfig, images: int) -> None:
    """Raise ConfigError where batch, queue and number of training images do not go together."""
    if config.batch_size > images:
        raise ConfigError(
            f"model.moco.batch_size is {config.batch_size}, but there are {images} training images."
        )
    if config.queue < config.batch_size:
        raise ConfigError(
            f"model.moco.queue ({config.queue}) is shorter than model.moco.batch_size ({config.batch_size})."
        )
    if config.queue % config.batch_size:
        raise ConfigError(
            f"model.moco.queue ({config.queue}) must be a multiple of "
            f"model.moco.batch_size ({config.batch_size})."
        )
    if config.queue > images:
        raise ConfigError(
            f"model.moco.queue ({config.queue}) is longer than the data set ({images} training images): "
            "every image would meet its own old key as a negative. Take a shorter queue."
        )


def _encode_shuffled(encoder: Encoder, x: Tensor, generator: torch.Generator) -> Encoded:
    """Encode with the batch shuffled over all ranks: BatchNorm must not tell a key by its rank (MoCo)."""
    if distributed.world_size() == 1:
        encoded: Encoded = encoder(x)
        return encoded
    everything = distributed.all_gather(x)
    order = torch.randperm(len(everything), generator=generator).to(x.device)
    part = encoder(distributed.local_rows(everything[order]))
    back = order.argsort()
    return Encoded(*(distributed.local_rows(distributed.all_gather(t)[back]) for t in part))
