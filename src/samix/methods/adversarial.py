"""How AdAutoMix's network is trained inside a supervised host."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from samix.config.mixing import MixerTrainingConfig
from samix.core.step import StepContext
from samix.methods.mixer_training import MixerInputs, MixerTraining, Terms
from samix.mixup import AdAutoMix, Pairing
from samix.mixup.adautomix import draw_parents, draw_shares, weighted


class AdversarialTraining(MixerTraining):
    """AdAutoMix's network, which makes images that are hard to classify and yet like their parents.

    Steps alternate: every interval-th one -b * mixCE - (1 - b) * cos, the others mixCE. cos is the mean over
    samples of the similarity of the mixed image's logits with its parents', weighted by their shares.
    """

    def __init__(self, policy: AdAutoMix, config: MixerTrainingConfig) -> None:
        super().__init__(policy.mixer, config)  # type: ignore[arg-type]  # a network with the same role
        self.options = policy.config

    def losses(self, inputs: MixerInputs, pairing: Pairing, ctx: StepContext) -> Terms:  # noqa: ARG002
        """The loss of this step, of parents other than the encoder's with the same shares."""
        options, critic, batch = self.options, inputs.critic, inputs.parents[0]
        shares = draw_shares(options, ctx.numpy_generator("policy"))
        scalars = ctx.numpy_generator("mixer")
        parents = draw_parents(shares, len(batch.images), scalars, batch.images.device)
        size = (batch.images.shape[2], batch.images.shape[3])
        masks = self.mixer(inputs.plain.tap[parents.index], shares, size)
        logits = critic.outputs_of(critic.encode(weighted(batch.images[parents.index], masks))).float()
        with torch.no_grad():
            own = critic.outputs_of(inputs.plain).float()
        ce, similarity = torch.zeros_like(logits[:, 0]), torch.zeros_like(logits[:, 0])
        for rows, share in zip(parents.index, parents.shares, strict=True):
            ce = ce + share * critic.objective.point_loss(logits, batch.targets[rows])
            similarity = similarity + share * F.cosine_similarity(logits, own[rows])
        metrics = {"mixer_global": ce.mean().detach(), "mixer_similarity": similarity.mean().detach()}
        if ctx.step % options.interval:
            return ce.mean(), metrics
        sign = -1.0 if options.cosine == "similar" else 1.0
        loss = -options.balance * ce + sign * (1 - options.balance) * similarity
        return loss.mean(), metrics

    def after_step(self) -> None:
        """This network has no gamma."""
