"""Self-supervised training by any method with any policy, and SAMix online if its Mixer is trained too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samix.config.mixing import SSLMixerTrainingConfig
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import Stream, generator_for
from samix.core.step import StepContext
from samix.data import TwoViews
from samix.methods.labels import LabelSource
from samix.methods.method import ROUTES, Method
from samix.methods.mixed_branch import MixedBranch
from samix.methods.mixer_training import MixerInputs, MixerTraining, Terms
from samix.mixup import MixDraws, Pairing, Policy, draw_local_pairing, draw_pairing, expanded, to_device
from samix.mixup.adapter import Adapter, capabilities_of, check_policy
from samix.mixup.mixer.step import Critic, ParentInputs
from samix.nn import Encoded
from samix.objectives import MixedCE

Parents = tuple[ParentInputs, ParentInputs]


class SSLDraws(NamedTuple):
    """Draws of a step: of the method, of the mixed images of all anchors, and of the Mixer's training."""

    method: Any
    mix: MixDraws | None
    mixer: Any


class SelfSupervised(Learner):
    """The sum of the losses of plain images, of mixed images and of a Mixer, if one is trained.

    The cross-view rule, ROUTES, selects the views of mixed images and of their targets.
    """

    def __init__(
        self,
        method: Method,
        *,
        policy: Policy | None = None,
        alpha: float = 2.0,
        lam_per_sample: bool = False,
        mixer_training: MixerTraining | None = None,
        labels: LabelSource | None = None,
    ) -> None:
        """Args: policy, None for no mixed term; alpha of its lam, one per batch or one per sample;
        mixer_training, the training of the policy's Mixer, None if there is none; labels of the training
        images, for a policy or a Mixer's training that uses them.

        Raises: ValueError for a Mixer with a policy that requires no maps; ConfigError for a policy whose
        requirements this training does not meet.
        """
        super().__init__()
        if mixer_training is not None and (policy is None or "maps" not in policy.requires):
            raise ValueError("a Mixer is trained on the maps of its policy: take SAMix as the policy")
        self.parent_views, self.target_views = ROUTES[method.config.cross_view]
        if policy is not None:
            known, one_view = labels is not None, len(set(self.parent_views)) == 1
            offered = capabilities_of(method.encoder.backbone, labels=known, classes=False, one_view=one_view)
            check_policy(policy, offered, lam_per_sample=lam_per_sample)
        self.method = method
        self.policy = policy
        self.alpha = alpha
        self.lam_per_sample = lam_per_sample
        self.mixer_training = mixer_training
        self.labels = labels
        self._taught: tuple[Tensor, Encoded, Any]

    def draw(self, batch: TwoViews, ctx: StepContext) -> SSLDraws:
        """See Learner."""
        n, _, height, width = batch.view_q.shape
        policy, shape = self.policy, self._adapter.shape(self.policy, n, height, width)
        mix = mixer = None
        if policy is not None:
            branch = MixedBranch(policy, self.alpha, self.lam_per_sample)
            mix = branch.draw(ctx, shape, lambda member: _pairing(member, n, ctx), across=True)
        if self.mixer_training is not None:
            pairing = draw_pairing(n, ctx.shared_generator(Stream.PAIRING_MIXER))
            mixer = self.mixer_training.draw(ctx, shape, pairing)
        method = self.method.draw(ctx, n * len(self._views_of_teacher()))
        draws = to_device(SSLDraws(method, mix, mixer), ctx.device)
        if policy is None or draws.mix is None:
            return draws
        return draws._replace(mix=expanded(policy, draws.mix, shape, ctx.device))

    def before_step(self, ctx: StepContext) -> None:
        """See Learner."""
        self.method.before_step(ctx)
        if self.mixer_training is not None:
            self.mixer_training.before_step()

    def training_step(self, batch: TwoViews, draws: SSLDraws) -> dict[str, Tensor]:
        """The training step of SAMix (SSL); images (N, 3, H, W) per view."""
        method = self.method
        views = {"q": batch.view_q, "k": batch.view_k}
        online = {view: method.encoder(views[view]) for view, _ in method.anchors}
        needed = self._views_of_teacher()
        taught = method.teach({view: x for view, x in views.items() if view in needed}, online, draws.method)
        labels = None if self.labels is None else self.labels.lookup(batch.index)
        targets = {view: method.targets(encoded, batch.index, labels) for view, encoded in taught.items()}

        loss, metrics = self._plain_loss(online, targets)
        if self.policy is not None and draws.mix is not None:
            routes = [self._parents(anchor, views, taught, targets) for anchor in method.anchors]
            mixed = _mean([self._mixed_loss(self.policy, each, labels, draws.mix) for each in routes])
            loss, metrics["loss_mixed"] = loss + mixed, mixed.detach()
            if self.mixer_training is not None:
                first = method.anchors[0][0]
                own, more = self._mixer_loss(routes[0], taught[first], online[first], labels, draws.mixer)
                loss, metrics = loss if own is None else loss + own, metrics | more
        target = method.anchors[0][1]
        self._taught = (batch.index, taught[target], targets[target])
        return {"loss": loss, **metrics}

    def after_step(self, ctx: StepContext) -> None:
        """Update labels, method and Mixer after the step."""
        index, encoded, targets = self._taught
        if self.labels is not None:
            self.labels.update(index, encoded.embedding, ctx.step)
        self.method.after_step(targets, ctx)
        if self.mixer_training is not None:
            self.mixer_training.after_step()

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Modules and optimisers of the method and of the Mixer's training."""
        own = self.method.parameter_sets()
        return own | (self.mixer_training.parameter_sets() if self.mixer_training else {})

    def _views_of_teacher(self) -> set[str]:
        """Views of all targets, and of the parents if the policy needs their maps."""
        wanted = {target for _, target in self.method.anchors}
        if self.policy is not None:
            views = self.target_views + (self.parent_views if "maps" in self.policy.requires else "")
            wanted |= {_view(name, anchor) for name in views for anchor in self.method.anchors}
        return wanted

    def _plain_loss(
        self, online: Mapping[str, Encoded], targets: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        terms = [
            self.method.plain_loss(self.method.outputs(online[view]), targets[target])
            for view, target in self.method.anchors
        ]
        loss = _mean([term for term, _ in terms])
        return loss, {"loss_ssl": loss.detach(), **terms[0][1]}

    def _parents(
        self,
        anchor: tuple[str, str],
        views: Mapping[str, Tensor],
        taught: Mapping[str, Encoded],
        targets: Mapping[str, Any],
    ) -> Parents:
        """First and second parents by the cross-view rule; the same object twice if both are of one view."""

        def parent(name: str, target: str) -> ParentInputs:
            view = _view(name, anchor)
            maps = taught[view].tap if view in taught else None
            return ParentInputs(views[view], maps, targets[_view(target, anchor)])

        first, second = zip(self.parent_views, self.target_views, strict=True)
        one = parent(*first)
        return one, one if first == second else parent(*second)

    def _mixed_loss(self, policy: Policy, parents: Parents, labels: Tensor | None, draws: MixDraws) -> Tensor:
        objective = self.method.objective(parents[0].targets)
        branch = MixedBranch(policy, self.alpha, self.lam_per_sample)
        return branch.loss(self._adapter, MixedCE(objective), parents, labels, draws, objective.point_loss)

    @property
    def _adapter(self) -> Adapter:
        """The trained encoder with the method's outputs, as policies use it."""
        return Adapter(self.method.encoder, self.method.outputs)

    def _mixer_loss(
        self, parents: Parents, plain: Encoded, online: Encoded, labels: Tensor | None, draws: Any
    ) -> Terms:
        """Loss of the Mixer and metrics, on its own pairs."""
        method, training = self.method, self.mixer_training
        assert training is not None  # the caller has checked
        filters = isinstance(training.config, SSLMixerTrainingConfig) and training.config.filter_negatives
        label_of = self.labels.lookup if filters and self.labels is not None else None
        objective = method.objective(parents[0].targets, label_of)
        weights = None if self.labels is None else self.labels.class_weights()
        critic = Critic(method.critic(), method.critic_outputs, objective)
        inputs = MixerInputs(critic, parents, plain, labels, weights, online.pooled)
        loss, metrics = training.losses(inputs, draws)
        return loss, metrics | ({} if self.labels is None else self.labels.metrics())


def _pairing(policy: Policy, n: int, ctx: StepContext) -> Pairing:
    """Over all ranks, or for mixed features, whose gradient does not cross ranks, over this rank's images."""
    if policy.mixes_features == "never":
        return draw_pairing(n, ctx.shared_generator(Stream.PAIRING))
    return draw_local_pairing(n, generator_for(ctx.seed, Stream.PAIRING, ctx.step, ctx.rank), no_repeat=True)


def _view(name: str, anchor: tuple[str, str]) -> str:
    """The view of a letter of ROUTES, q or k."""
    return anchor["qk".index(name)]


def _mean(losses: list[Tensor]) -> Tensor:
    """Mean of scalars."""
    return torch.stack(losses).mean() if len(losses) > 1 else losses[0]
