"""The branch of a training step that learns from mixed images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from samix.core.random import Stream
from samix.core.step import BatchShape, StepContext
from samix.mixup import ImageInfo, MixDraws, Mixed, Pairing, Policy, draw_policy, draw_ratio, mix, mixed_term
from samix.mixup.adapter import Adapter
from samix.mixup.mixer.step import ParentInputs
from samix.objectives import MixedCriterion


@dataclass(frozen=True)
class MixedBranch:
    """A policy with the distribution of its lam ~ Beta(alpha, alpha), one per batch or one per sample."""

    policy: Policy
    alpha: float
    lam_per_sample: bool

    def draw(
        self, ctx: StepContext, shape: BatchShape, pair: Callable[[Policy], Pairing], *, across: bool = False
    ) -> MixDraws:
        """Draws of a step. pair: draws the pairing, unless this batch's policy chooses partners itself;
        across: whether partners are images of all ranks.
        """
        lam = draw_ratio(
            self.alpha, shape.images, ctx.numpy_generator(Stream.LAM), per_sample=self.lam_per_sample
        )
        shared = replace(ctx, rank=0).numpy_generator(Stream.POLICY) if across else None
        return draw_policy(self.policy, lam, ctx.numpy_generator(Stream.POLICY), shape, pair, shared)

    def loss(
        self,
        adapter: Adapter,
        criterion: MixedCriterion,
        parents: tuple[ParentInputs, ParentInputs],
        labels: Tensor | None,
        draws: MixDraws,
        loss_of: Callable[[Tensor, Any], Tensor],
    ) -> Tensor:
        """The loss of the policy's images, a scalar; no gradient reaches a Mixer.

        Args: parents, first and second ones in the order of the batch, the same object twice if both are of
        one view; loss_of, losses (N,) of outputs for un-mixed images and targets, for saliency.
        """
        policy, (first, second) = self.policy.member(draws.member), parents

        def info(side: ParentInputs) -> ImageInfo:
            known = ImageInfo(side.maps, labels)
            return adapter.info_for(policy, side.images, known, lambda z: loss_of(z, side.targets))

        others = None if second is first else (second.images, info(second))
        mixed = mix(self.policy, first.images, draws, info(first), others)

        def term(mixed: Mixed) -> Tensor:
            outputs, final = adapter.forward_mixed(policy, mixed)
            return mixed_term(criterion, outputs, final, first.targets, second.targets)

        if mixed.extra is None:
            return term(mixed)
        weight, extra = mixed.extra
        return term(mixed) + weight * term(extra)
