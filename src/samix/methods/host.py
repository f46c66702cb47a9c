"""The host of all self-supervised methods: plain loss, mixed loss by any policy, and the Mixer's training."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from samix.config.ssl import CrossView
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import PAIRING, PAIRING_MIXER, generator_for
from samix.core.step import BatchShape, StepContext
from samix.data import TwoViews
from samix.methods.labels import LabelSource
from samix.methods.method import Method
from samix.methods.mixed_branch import MixedBranch
from samix.methods.mixer_training import MixerInputs, MixerTraining
from samix.mixup import MixDraws, Pairing, Policy, draw_local_pairing, draw_pairing, expanded, to_device
from samix.mixup.adapter import Adapter, capabilities_of, check_policy
from samix.mixup.mixer.step import Critic, ParentInputs
from samix.nn import Encoded, Encoder
from samix.objectives import MixedCE

ROUTES: dict[CrossView, tuple[str, str]] = {
    "q2k": ("qq", "kk"),
    "swap": ("qk", "kq"),
    "same": ("qq", "qq"),
    "same_swap": ("qk", "qk"),
}
"""Views of the first and of the second parents, and views of their targets (SAMix, table of cross views)."""


class SSLDraws(NamedTuple):
    """Draws of a step: of the method, of the mixed images, and of the Mixer's training."""

    method: Any
    mix: MixDraws | None
    mixer: Any


class SelfSupervised(Learner):
    """A method with any policy; the losses of the plain and of the mixed images are added.

    Which view makes the mixed image and which its targets is the cross-view rule, see `ROUTES`.
    """

    def __init__(
        self,
        method: Method,
        *,
        cross_view: CrossView = "q2k",
        branch: MixedBranch | None = None,
        mixer_training: MixerTraining | None = None,
        labels: LabelSource | None = None,
    ) -> None:
        """branch None: no mixed term; mixer_training: how its Mixer learns, if it does; labels: those of the
        training images, if the policy or the Mixer's training requires them.

        Raises: ValueError for a Mixer to train beside a policy that requires no maps; ConfigError for a
        policy that cannot be used with this method.
        """
        super().__init__()
        self.parent_views, self.target_views = ROUTES[cross_view]
        policy = None if branch is None else branch.policy
        if policy is not None:
            one_view = self.parent_views[0] == self.parent_views[1]
            capabilities = capabilities_of(
                method.encoder.backbone, labels=labels is not None, classes=False, one_view=one_view
            )
            check_policy(policy, capabilities, lam_per_sample=branch.lam_per_sample)  # type: ignore[union-attr]
        if mixer_training is not None and (policy is None or "maps" not in policy.requires):
            raise ValueError("a Mixer is trained on the maps of its policy: take SAMix as the policy")
        self.method = method
        self.policy = policy
        self.branch = branch
        self.mixer_training = mixer_training
        self.labels = labels
        self._new: tuple[Encoded, Tensor]

    def draw(self, batch: TwoViews, ctx: StepContext) -> SSLDraws:
        """See Learner."""
        n, _, height, width = batch.view_q.shape
        shape = adapter_of(self.method).shape(self.policy, n, height, width)
        mix = mixer = None
        if self.branch is not None:
            mix = self.branch.draw(ctx, shape, lambda policy: _pairing(policy, n, ctx))
        if self.mixer_training is not None:
            pairing = draw_pairing(n, ctx.shared_generator(PAIRING_MIXER))
            mixer = self.mixer_training.draw(ctx, shape, pairing)
        method = self.method.draw(ctx, n * len(self._taught()))
        draws = to_device(SSLDraws(method, mix, mixer), ctx.device)
        return draws if mix is None else draws._replace(mix=self._expanded(draws.mix, shape, ctx))

    def before_step(self, ctx: StepContext) -> None:
        """See Learner."""
        self.method.before_step(ctx)
        if self.mixer_training is not None:
            self.mixer_training.before_step()

    def training_step(self, batch: TwoViews, draws: SSLDraws) -> dict[str, Tensor]:
        """The numbered step of the method and SAMix; (N, 3, H, W) per view."""
        images = {"q": batch.view_q, "k": batch.view_k}
        online = {view: self.method.encoder(images[view]) for view, _ in self.method.anchors}
        taught = self.method.teach({view: images[view] for view in self._taught()}, online, draws.method)
        labels = None if self.labels is None else self.labels.lookup(batch.index)

        loss, metrics = self._plain(online, taught, batch.index)
        if self.branch is not None and draws.mix is not None:
            parents = self._parents(images, taught, batch.index, labels)
            mixed = self._mixed_loss(self.branch, parents, labels, draws.mix)
            loss, metrics["loss_mixed"] = loss + mixed, mixed.detach()
            if self.mixer_training is not None:
                inputs = self._mixer_inputs(self.mixer_training, parents, taught, online, labels)
                own, more = self.mixer_training.losses(inputs, draws.mixer)
                loss, metrics = loss if own is None else loss + own, metrics | more
                metrics |= {} if self.labels is None else self.labels.metrics()
        self._new = (taught[self.method.anchors[-1][1]], batch.index)
        return {"loss": loss, **metrics}

    def after_step(self, ctx: StepContext) -> None:
        """Update the labels and the method's memory, both with this step's targets."""
        encoded, index = self._new
        if self.labels is not None:
            self.labels.update(index, encoded.projection, ctx.step)
        self.method.after_step(encoded, index)
        if self.mixer_training is not None:
            self.mixer_training.after_step()

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Those of the method and of the Mixer's training."""
        own = self.method.parameter_sets()
        return own | (self.mixer_training.parameter_sets() if self.mixer_training else {})

    def _taught(self) -> list[str]:
        """Views that the teacher encodes, for the plain targets, the mixed ones and the Mixer's maps."""
        wanted = {target for _, target in self.method.anchors}
        if self.policy is not None:
            wanted |= set(self.target_views)
            wanted |= set(self.parent_views) if "maps" in self.policy.requires else set()
        return [view for view in ("q", "k") if view in wanted]

    def _expanded(self, mix: MixDraws | None, shape: BatchShape, ctx: StepContext) -> MixDraws | None:
        return None if mix is None or self.policy is None else expanded(self.policy, mix, shape, ctx.device)

    def _plain(
        self, online: dict[str, Encoded], taught: dict[str, Encoded], index: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of un-mixed images, the mean over anchors, and metrics of the last anchor."""
        losses = []
        for view, target in self.method.anchors:
            targets = self.method.targets(taught[target], index, None)
            loss, metrics = self.method.plain_loss(self.method.outputs(online[view]), targets)
            losses.append(loss)
        total = sum(losses[1:], losses[0]) / len(losses)
        return total, {"loss_ssl": total.detach(), **metrics}

    def _parents(
        self, images: dict[str, Tensor], taught: dict[str, Encoded], index: Tensor, labels: Tensor | None
    ) -> tuple[ParentInputs, ParentInputs]:
        """First and second parents by the cross-view rule; one object if they are of the same view."""

        def parent(view: str, target: str) -> ParentInputs:
            maps = taught[view].tap if view in taught else None
            return ParentInputs(images[view], maps, self.method.targets(taught[target], index, labels))

        first = parent(self.parent_views[0], self.target_views[0])
        if self.parent_views[0] == self.parent_views[1]:
            return first, first
        return first, parent(self.parent_views[1], self.target_views[1])

    def _mixed_loss(
        self,
        branch: MixedBranch,
        parents: tuple[ParentInputs, ParentInputs],
        labels: Tensor | None,
        draws: MixDraws,
    ) -> Tensor:
        objective = self.method.objective()
        return branch.loss(
            adapter_of(self.method), MixedCE(objective), parents, labels, draws, objective.point_loss
        )

    def _mixer_inputs(
        self,
        training: MixerTraining,
        parents: tuple[ParentInputs, ParentInputs],
        taught: dict[str, Encoded],
        online: dict[str, Encoded],
        labels: Tensor | None,
    ) -> MixerInputs:
        source = self.labels
        filtered = source is not None and getattr(training.config, "filter_negatives", False)
        objective = self.method.objective(source.lookup if filtered and source is not None else None)
        critic = Critic(self.method.critic(), self.method.critic_outputs, objective)
        view = self.parent_views[0]
        weights = None if source is None else source.class_weights()
        return MixerInputs(critic, parents, taught[view], labels, weights, online[view].pooled)


def adapter_of(method: Method) -> Adapter:
    """The trained encoder with the method's outputs, as policies use it."""
    encoder: Encoder = method.encoder
    return Adapter(encoder, method.outputs)


def _pairing(policy: Policy, n: int, ctx: StepContext) -> Pairing:
    """Over all ranks; for features, whose gradient stays on its rank, among this rank's images."""
    if policy.mixes_features == "never":
        return draw_pairing(n, ctx.shared_generator(PAIRING))
    own = generator_for(ctx.seed, PAIRING, ctx.step, ctx.rank)
    return draw_local_pairing(n, own, no_repeat=True)
