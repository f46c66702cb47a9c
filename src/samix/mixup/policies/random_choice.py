"""One of several policies per batch, as in the recipes RSB and DeiT."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

import numpy as np
from torch import Tensor, nn

from samix.config.base import Config
from samix.config.names import OneOf
from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.core.suggestions import did_you_mean
from samix.mixup.lam import Ratio, draw_ratio
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Draws, Mixed, ModelOutputs, Output, PairInfo, Policy, Requirement
from samix.mixup.registered import POLICIES


class RandomChoiceOptions(Config):
    """Options of policy random_choice; see the class."""

    policies: tuple[Annotated[str, OneOf(POLICIES)], ...] = ("mixup", "cutmix")
    alphas: tuple[float | None, ...] = (0.8, 1.0)
    probabilities: tuple[float, ...] | None = None


class RandomChoice(Policy):
    """Each batch is mixed by one policy, drawn by its probability, with its own lam.

    The defaults are DeiT's: Mixup with alpha 0.8 or CutMix with alpha 1, with equal probability. RSB's:
    RandomChoice(("mixup", "cutmix"), (0.1, 1.0)).
    """

    cost = "static"
    Options = RandomChoiceOptions
    extra_requirement = "the requirements of its policies"

    def __init__(
        self,
        policies: Sequence[str | Policy] = ("mixup", "cutmix"),
        alphas: Sequence[float | None] = (0.8, 1.0),
        probabilities: Sequence[float] | None = None,
    ) -> None:
        """Policies by name or built; lists of equal length.

        alphas: of the Beta distribution from which the policy's lam is drawn instead of the given one, which
        would be the same for all policies; None: the given lam. probabilities: None: equal ones.
        Raises: ConfigError for lists of different lengths, values out of range or an unknown policy.
        """
        super().__init__()
        if probabilities is None:
            probabilities = [1 / max(1, len(policies))] * len(policies)
        _check(policies, alphas, probabilities)
        self.policies = nn.ModuleList(_built(policy) for policy in policies)
        self.alphas = list(alphas)
        self.probabilities = np.array(probabilities) / sum(probabilities)
        members = self._members()
        self.requires = frozenset[Requirement]().union(*(policy.requires for policy in members))
        self.requires_outputs = frozenset[Output]().union(*(policy.requires_outputs for policy in members))
        levels = ["never", "features", "maps"]
        self.mixes_features = max((policy.mixes_features for policy in members), key=levels.index)
        self.many_parents = any(policy.many_parents for policy in members)
        self.resizes = any(policy.resizes for policy in members)
        self.classes = any(policy.classes for policy in members)
        self.host_solver = any(policy.host_solver for policy in members)
        # the same kind of lam goes to every member
        self.per_sample = all(policy.per_sample for policy in members)

    @classmethod
    def parts(cls, options: Mapping[str, Any]) -> set[type[Policy]]:
        """See Policy."""
        names = RandomChoiceOptions(**options).policies
        return {cls}.union(*(POLICIES[name].parts({}) for name in names))

    @classmethod
    def uses_labels(cls, options: Mapping[str, Any]) -> bool:
        """See Policy: whether a member does."""
        return any(part.uses_labels({}) for part in cls.parts(options) - {cls})

    def resolve(self, lam: Ratio, rng: np.random.Generator) -> tuple[tuple[int, ...], Ratio]:
        """See Policy: draws the member of this batch, and its lam if it has an alpha."""
        chosen = int(rng.choice(len(self.policies), p=self.probabilities))
        alpha = self.alphas[chosen]
        if alpha is not None:
            several = isinstance(lam, np.ndarray)
            lam = draw_ratio(alpha, len(lam) if several else 1, rng, per_sample=several)  # type: ignore[arg-type]
        path, lam = self._members()[chosen].resolve(lam, rng)
        return (chosen, *path), lam

    def member(self, path: tuple[int, ...]) -> Policy:
        """See Policy."""
        return self._members()[path[0]].member(path[1:])

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> Draws:
        """Not implemented: draw from the `member` at the path from `resolve`."""
        raise NotImplementedError("RandomChoice: draw from its member, as samix.mixup.draw_policy does")

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: Draws, info: PairInfo
    ) -> Mixed:
        """Not implemented: mix by the `member` at the path from `resolve`."""
        raise NotImplementedError("RandomChoice: mix by its member, as samix.mixup.mix does")

    def reweight(self, mixed: Mixed, outputs: ModelOutputs) -> Tensor:
        """Not for a choice: reweight by the `member` that `resolve` names."""
        raise NotImplementedError("RandomChoice: reweight by its member, which is MixedBatch.policy")

    def _members(self) -> list[Policy]:
        return cast(list[Policy], list(self.policies))


def _check(
    policies: Sequence[str | Policy], alphas: Sequence[float | None], probabilities: Sequence[float]
) -> None:
    if not policies or not len(policies) == len(alphas) == len(probabilities):
        raise ConfigError(
            f"RandomChoice: {len(policies)} policies, {len(alphas)} alphas and {len(probabilities)} "
            "probabilities must be as many, and at least one"
        )
    if any(alpha is not None and not alpha > 0 for alpha in alphas):
        raise ConfigError(f"RandomChoice: alphas {list(alphas)} must be positive")
    if min(probabilities) < 0 or not math.isclose(sum(probabilities), 1, abs_tol=1e-6):
        raise ConfigError(f"RandomChoice: probabilities {list(probabilities)} must be >= 0 and sum up to 1")


def _built(policy: str | Policy) -> Policy:
    if isinstance(policy, Policy):
        return policy
    if policy not in POLICIES:
        raise ConfigError(f"RandomChoice: there is no policy {policy!r}. {did_you_mean(policy, POLICIES)}.")
    return POLICIES[policy]()
