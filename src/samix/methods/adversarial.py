"""How a Mixer is trained inside a supervised host: SAMix's and AutoMix's way, and AdAutoMix's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.mixing import MixerTrainingConfig
from samix.core.step import StepContext
from samix.data import Labelled
from samix.mixup import AdAutoMix, Mixer, Pairing
from samix.mixup.adautomix import draw_parents, draw_shares, weighted
from samix.mixup.mixer.step import Judge, Side, mixer_step
from samix.nn import Features

Terms = tuple[Tensor | None, dict[str, Tensor]]
"""Loss with gradient, None in a step without any, and metrics."""


@dataclass(frozen=True)
class SupervisedHostStep:
    """What a Mixer's training sees of its host's step.

    judge, the frozen momentum network with its head for mixed images; batch; plain, what the momentum network
    made of the un-mixed images; pairing, draws the Mixer's own.
    """

    judge: Judge
    batch: Labelled
    plain: Features
    pairing: Callable[[], Pairing]


class SupervisedMixerTraining(nn.Module):
    """A Mixer that learns under labels, with its options."""

    def __init__(self, mixer: Mixer, config: MixerTrainingConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.config = config

    def losses(self, host: SupervisedHostStep, ctx: StepContext) -> Terms:
        """pBCE + eta * mixCE + beta * mask loss through the momentum network (SAMix, SL step)."""
        side = Side(host.batch.images, host.plain.tap, host.batch.labels)
        step = mixer_step(self.mixer, host.judge, (side, side), host.pairing(), self.config, ctx)
        return (None, {}) if step is None else (step.loss, step.metrics)

    def after_step(self) -> None:
        """Keep gamma in range."""
        self.mixer.clamp_gamma()


class AdversarialTraining(nn.Module):
    """AdAutoMix's network, which makes images that are hard to classify and yet like their parents.

    Steps take turns: every interval-th one -b * mixCE - (1 - b) * cos, the others mixCE. cos is the mean
    over samples of the similarity of the mixed image's logits with its parents', weighted by their shares.
    """

    def __init__(self, policy: AdAutoMix, config: MixerTrainingConfig) -> None:
        super().__init__()
        self.mixer = policy.mixer
        self.config = config
        self.options = policy.config

    def losses(self, host: SupervisedHostStep, ctx: StepContext) -> Terms:
        """The loss of this step, of parents other than the encoder's with the same shares."""
        options, batch = self.options, host.batch
        shares = draw_shares(options, ctx.numpy_generator("policy"))
        scalars = ctx.numpy_generator("mixer")
        parents = draw_parents(shares, len(batch.labels), scalars, batch.images.device)
        size = (batch.images.shape[2], batch.images.shape[3])
        masks = self.mixer(host.plain.tap[parents.index], shares, size)
        judge = host.judge
        logits = judge.read(judge.encode(weighted(batch.images[parents.index], masks))).float()
        with torch.no_grad():
            own = judge.read(host.plain).float()
        ce, similarity = torch.zeros_like(logits[:, 0]), torch.zeros_like(logits[:, 0])
        for rows, share in zip(parents.index, parents.shares, strict=True):
            ce = ce + share * judge.objective.point_loss(logits, batch.labels[rows])
            similarity = similarity + share * F.cosine_similarity(logits, own[rows])
        metrics = {"mixer_global": ce.mean().detach(), "mixer_similarity": similarity.mean().detach()}
        if ctx.step % options.interval:
            return ce.mean(), metrics
        sign = -1.0 if options.cosine == "similar" else 1.0
        loss = -options.balance * ce + sign * (1 - options.balance) * similarity
        return loss.mean(), metrics

    def after_step(self) -> None:
        """Nothing is to be kept in range."""
