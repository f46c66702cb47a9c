"""How AdAutoMix's network is trained inside a supervised host."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn import functional as F

from samix.config.mixing import MixerTrainingConfig
from samix.core.random import MIXER, POLICY
from samix.core.step import BatchShape, StepContext
from samix.methods.mixer_training import MixerInputs, MixerTraining, Terms
from samix.mixup import AdAutoMix, Pairing
from samix.mixup.policies.adautomix import AdAutoMixDraws, draw_parents, draw_shares, weighted


class AdversarialDraws(NamedTuple):
    """Parents other than the encoder's with the same shares; adversarial: the kind of this step."""

    parents: AdAutoMixDraws
    adversarial: bool


class AdversarialTraining(MixerTraining):
    """AdAutoMix's network, which makes images that are hard to classify and yet like their parents.

    Steps alternate: every interval-th one -b * mixCE - (1 - b) * cos, the others mixCE. cos is the mean over
    samples of the similarity of the mixed image's logits with its parents', weighted by their shares.
    """

    def __init__(self, policy: AdAutoMix, config: MixerTrainingConfig) -> None:
        super().__init__(policy.mixer, config)  # type: ignore[arg-type]
        self.options = policy.config

    def draw(self, ctx: StepContext, shape: BatchShape, pairing: Pairing) -> AdversarialDraws:  # noqa: ARG002
        """See MixerTraining; the stream of the policy is made again, for its shares."""
        shares = draw_shares(self.options, ctx.numpy_generator(POLICY))
        parents = draw_parents(self.options, shares, shape.images, ctx.numpy_generator(MIXER))
        return AdversarialDraws(parents, ctx.step % self.options.interval == 0)

    def losses(self, inputs: MixerInputs, draws: AdversarialDraws) -> Terms:
        """The loss of this step."""
        options, critic = self.options, inputs.critic
        rows, shares = draws.parents.rows, draws.parents.shares
        batch = inputs.parents[0]
        size = (batch.images.shape[2], batch.images.shape[3])
        masks = self.mixer(inputs.plain.tap[rows], shares, size)
        logits = critic.outputs_of(critic.encode(weighted(batch.images[rows], masks))).float()
        with torch.no_grad():
            own = critic.outputs_of(inputs.plain).float()
        ce, similarity = torch.zeros_like(logits[:, 0]), torch.zeros_like(logits[:, 0])
        for parent, share in zip(rows, shares, strict=True):
            ce = ce + share * critic.objective.point_loss(logits, batch.targets[parent])
            similarity = similarity + share * F.cosine_similarity(logits, own[parent])
        metrics = {"mixer_global": ce.mean().detach(), "mixer_similarity": similarity.mean().detach()}
        if not draws.adversarial:
            return ce.mean(), metrics
        sign = -1.0 if options.cosine == "similar" else 1.0
        loss = -options.balance * ce + sign * (1 - options.balance) * similarity
        return loss.mean(), metrics

    def after_step(self) -> None:
        """This network has no gamma."""
