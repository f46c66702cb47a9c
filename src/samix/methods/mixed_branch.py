"""The branch of a training step that learns from mixed images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from samix.core.step import StepContext
from samix.mixup import Mixed, Pairing, Policy, Ratio, Seen, mixed_term, pair_and_mix
from samix.mixup.host import Host, draw_ratio
from samix.mixup.mixer.step import ParentInputs
from samix.objectives import MixedCriterion


@dataclass(frozen=True)
class MixedBranch:
    """A policy with the distribution of its lam ~ Beta(alpha, alpha), one per batch or one per sample."""

    policy: Policy
    alpha: float
    lam_per_sample: bool

    def draw(self, ctx: StepContext, n: int) -> tuple[Policy, Ratio, np.random.Generator]:
        """The policy of this batch of n images, its lam, and the generator of all else that it draws."""
        generator, ratios = ctx.numpy_generator("policy"), ctx.numpy_generator("lam")
        lam = draw_ratio(self.alpha, n, ratios, per_sample=self.lam_per_sample)
        return *self.policy.drawn(lam, generator), generator

    def loss(
        self,
        host: Host,
        criterion: MixedCriterion,
        parents: tuple[ParentInputs, ParentInputs],
        labels: Tensor | None,
        pair: Callable[[Policy], Pairing],
        loss_of: Callable[[Tensor, Any], Tensor],
        ctx: StepContext,
    ) -> Tensor:
        """The loss of the policy's images, a scalar; no gradient reaches a Mixer.

        Args: parents, first and second ones in the order of the batch, one object twice if they are of the
        same view; pair, the pairing for the policy of this batch, unless it has a rule of its own; loss_of,
        losses (N,) of outputs for un-mixed images against targets, for saliency.
        """
        first, second = parents
        policy, lam, generator = self.draw(ctx, len(first.images))

        def seen(parent: ParentInputs) -> Seen:
            known = Seen(parent.maps, labels)
            return host.look(policy, parent.images, known, lambda outputs: loss_of(outputs, parent.targets))

        mixed, pairing = pair_and_mix(
            policy,
            first.images,
            lambda: pair(policy),
            lam,
            generator=generator,
            seen=seen(first),
            others=None if second is first else (second.images, seen(second)),
        )

        def term(mixed: Mixed) -> Tensor:
            outputs, final = host.run(policy, mixed, pairing)
            return mixed_term(criterion, outputs, final, (first.targets, second.targets), pairing)

        if mixed.beside is None:
            return term(mixed)
        weight, other = mixed.beside
        return term(mixed) + weight * term(other)
