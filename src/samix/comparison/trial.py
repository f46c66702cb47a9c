"""One trial of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from samix.config.mixing import PolicyConfig
from samix.config.settings import Host, Settings


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A variant on a backbone with a seed: one row of the table of trials.

    group, variant, backbone: as the table shows them, group None if the variant belongs to every group;
    refused: why it cannot be trained, if that is known before.
    """

    variant: str
    host: Host
    settings: Settings
    seed: int
    backbone: str
    group: str | None = None
    refused: str | None = None

    @property
    def title(self) -> str:
        """Name of its run; no two trials of a comparison share it."""
        return f"{self.setting} seed{self.seed}"

    @property
    def setting(self) -> str:
        """The title without the seed."""
        return " ".join(word for word in (self.group, self.variant, self.backbone, self.host) if word)

    @property
    def policy(self) -> PolicyConfig:
        """The policy of the training whose cost counts."""
        return self.settings.policy(self.host)

    @property
    def about(self) -> dict[str, Any]:
        """The columns of its row that stand before the figures."""
        return {
            "backbone": self.backbone,
            "host": self.host,
            "group": self.group or "",
            "variant": self.variant,
            "policy": self.policy.name,
            "alpha": self.policy.alpha,
            "epochs": self.settings.epochs(self.host),
            "seed": self.seed,
        }
