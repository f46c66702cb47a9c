"""One of several policies a batch, as in the recipes RSB and DeiT."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, cast

import numpy as np
from torch import Tensor, nn

from samix.config.base import Config
from samix.config.names import OneOf
from samix.core.errors import ConfigError
from samix.core.suggestions import did_you_mean
from samix.mixup.base import Answer, Cost, Guides, Mixed, Need, Policy, Ratio, draw_lam, draw_lams
from samix.mixup.registered import POLICIES


class RandomChoiceOptions(Config):
    """Options of policy random_choice; see the class."""

    policies: tuple[Annotated[str, OneOf(POLICIES)], ...] = ("mixup", "cutmix")
    alphas: tuple[float | None, ...] = (0.8, 1.0)
    probabilities: tuple[float, ...] | None = None


class RandomChoice(Policy):
    """Each batch is mixed by one policy, drawn by its probability and with a lam of its own.

    The defaults are DeiT's: Mixup with alpha 0.8 or CutMix with alpha 1, one as often as the other. RSB's:
    RandomChoice(("mixup", "cutmix"), (0.1, 1.0)).
    """

    cost: ClassVar[Cost] = "S"
    Options = RandomChoiceOptions
    extra_requirement = "what its policies need"

    def __init__(
        self,
        policies: Sequence[str | Policy] = ("mixup", "cutmix"),
        alphas: Sequence[float | None] = (0.8, 1.0),
        probabilities: Sequence[float] | None = None,
    ) -> None:
        """Policies by name or built; lists of one length.

        alphas: of the Beta distribution from which the policy's lam is drawn instead of the given one, which
        all of them would have to share; None: the given lam. probabilities: None means equal ones.
        Raises: ConfigError for lists that do not belong together or a policy that is not in the table.
        """
        super().__init__()
        if probabilities is None:
            probabilities = [1 / max(1, len(policies))] * len(policies)
        _check(policies, alphas, probabilities)
        self.policies = nn.ModuleList(_built(policy) for policy in policies)
        self.alphas = list(alphas)
        self.probabilities = np.array(probabilities) / sum(probabilities)
        members = self._members()
        self.needs = frozenset[Need]().union(*(policy.needs for policy in members))
        self.after = frozenset[Answer]().union(*(policy.after for policy in members))
        self.inside = max((policy.inside for policy in members), key=["never", "features", "maps"].index)
        self.several = any(policy.several for policy in members)
        self.resizes = any(policy.resizes for policy in members)
        # one that takes no lam of its own would be given one a sample by the host
        self.per_sample = all(policy.per_sample for policy in members)

    def drawn(self, lam: Ratio, generator: np.random.Generator) -> tuple[Policy, Ratio]:
        """See Policy: the policy of this batch, with a lam of its own where it has an alpha."""
        chosen = int(generator.choice(len(self.policies), p=self.probabilities))
        policy, alpha = self._members()[chosen], self.alphas[chosen]
        if alpha is not None:
            several = isinstance(lam, np.ndarray)
            lam = draw_lams(alpha, len(lam), generator) if several else draw_lam(alpha, generator)  # type: ignore[arg-type]
        return policy.drawn(lam, generator)

    def forward(
        self, first: Tensor, second: Tensor, lam: Ratio, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), lam in [0, 1], what the policies need of both -> Mixed of one policy."""
        policy, lam = self.drawn(lam, generator)
        guides = Guides(policy.see(first, guides.first), policy.see(second, guides.second))
        mixed: Mixed = policy(first, second, lam, generator=generator, guides=guides)
        return mixed

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
