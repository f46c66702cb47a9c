"""MoCo v2 with any policy, and SAMix online when a Mixer is trained along (He et al. 2020; SAMix)."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.config.ssl import MoCoConfig
from samix.core import distributed
from samix.core.errors import ConfigError
from samix.core.random import generator_for
from samix.core.step import StepContext
from samix.data import TwoViews
from samix.learners.base import Learner, ParameterSet
from samix.learners.mixer_training import MixerTraining
from samix.mixup.base import Policy, draw_lam, draw_pairing, mix
from samix.nn import Encoded, Encoder, KeyQueue, ema_, momentum_copy
from samix.objectives import InstanceObjective, InstanceTargets, mixed_loss


class MoCo(Learner):
    """Momentum contrast with a queue; the losses of the plain and of the mixed images are added.

    View q builds the mixed image, view k gives its targets (SAMix, cross-view rule q2k).
    """

    def __init__(
        self,
        encoder: Encoder,
        config: MoCoConfig,
        *,
        seed: int,
        policy: Policy | None = None,
        alpha: float = 2.0,
        mixer_training: MixerTraining | None = None,
    ) -> None:
        """policy None: no mixed term; alpha of its lam; mixer_training: how its Mixer learns, if it does.

        Raises: ValueError for a Mixer to train beside a policy for which no maps are computed.
        """
        super().__init__()
        if mixer_training is not None and (policy is None or not policy.needs_features):
            raise ValueError("a Mixer is trained on the maps of its policy: take SAMix as the policy")
        self.encoder = encoder
        self.momentum_encoder = momentum_copy(encoder)
        self.queue = KeyQueue(config.queue, config.projector.out, generator_for(seed, "queue"))
        self.config = config
        self.policy = policy
        self.alpha = alpha
        self.mixer_training = mixer_training
        self.new_keys: Tensor | None = None

    def training_step(self, batch: TwoViews, ctx: StepContext) -> dict[str, Tensor]:
        """The numbered step of MoCo and SAMix; (N, 3, H, W) a view."""
        ema_(self.momentum_encoder, self.encoder, self.config.momentum)
        query = self.encoder(batch.view_q).projection
        seen_q, keys = self._momentum_pass(batch, ctx)
        targets = InstanceTargets(keys, batch.index)
        objective = InstanceObjective(self.queue.keys, self.config.temperature)

        logits = objective.logits(query, targets)
        plain = objective.point_loss(query, targets).mean()
        loss = plain
        metrics = {"loss_ssl": plain.detach(), "queue_top1": (logits.argmax(1) == 0).float().mean()}
        if self.policy is not None:
            mixed = self._mixed_loss(batch, seen_q, (objective, targets), ctx)
            loss = loss + mixed
            metrics["loss_mixed"] = mixed.detach()
        if self.mixer_training is not None and seen_q is not None:
            own, more = self.mixer_training.losses(
                self.momentum_encoder, batch.view_q, seen_q, (objective, targets), ctx
            )
            loss = loss + own
            metrics |= more
        self.new_keys = keys
        return {"loss": loss, **metrics}

    def after_step(self, ctx: StepContext) -> None:
        """Enqueue the keys; before the backward pass this would change what it needs."""
        if self.new_keys is not None:
            self.queue.enqueue(distributed.all_gather(self.new_keys))
        if self.mixer_training is not None:
            self.mixer_training.mixer.clamp_gamma()

    def parameter_sets(self) -> dict[str, ParameterSet]:
        """The encoder, and what the Mixer's training brings."""
        own = {"encoder": ParameterSet([self.encoder], self.config.optimizer)}
        return own | (self.mixer_training.parameter_sets() if self.mixer_training else {})

    @torch.no_grad()
    def _momentum_pass(self, batch: TwoViews, ctx: StepContext) -> tuple[Encoded | None, Tensor]:
        """What the momentum encoder makes of view q, where the policy wants it, and the keys of view k."""
        generator = ctx.shared_generator("shuffle")
        if self.policy is None or not self.policy.needs_features:
            return None, _encode_shuffled(self.momentum_encoder, batch.view_k, generator).projection
        n = len(batch.view_q)
        both = torch.cat([batch.view_q, batch.view_k])
        encoded = _encode_shuffled(self.momentum_encoder, both, generator)
        return encoded.rows(0, n), encoded.projection[n:]

    def _mixed_loss(
        self,
        batch: TwoViews,
        seen_q: Encoded | None,
        task: tuple[InstanceObjective, InstanceTargets],
        ctx: StepContext,
    ) -> Tensor:
        objective, targets = task
        pairing = draw_pairing(len(batch.index), ctx.shared_generator("pairing"), batch.index.device)
        lam = draw_lam(self.alpha, ctx.numpy_generator("lam"))
        mixed = mix(
            self.policy,  # type: ignore[arg-type]  # the caller has checked
            batch.view_q,
            pairing,
            lam,
            generator=ctx.numpy_generator("policy"),
            features=None if seen_q is None else seen_q.tap,
        )
        outputs = self.encoder(mixed.images).projection
        return mixed_loss(objective, outputs, targets, pairing.of(targets), mixed.lam)


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
