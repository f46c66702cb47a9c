"""The branch of a training step that learns from mixed images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from samix.core.random import LAM, POLICY
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

    def draw(self, ctx: StepContext, shape: BatchShape, pair: Callable[[Policy], Pairing]) -> MixDraws:
        """Draws of a step. pair: draws the pairing for the policy of this batch, if it has no own rule."""
        lam = draw_ratio(self.alpha, shape.images, ctx.numpy_generator(LAM), per_sample=self.lam_per_sample)
        return draw_policy(self.policy, lam, ctx.numpy_generator(POLICY), shape, pair)

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

        Args: parents, first and second ones in the order of the batch, one object twice if they are of the
        same view; loss_of, losses (N,) of outputs for un-mixed images against targets, for saliency.
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
