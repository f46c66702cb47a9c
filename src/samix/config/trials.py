"""Lists of trainings that are compared: ablations and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from samix.config.base import Config
from samix.config.ssl import ModelConfig
from samix.config.stages import (
    LinearEvaluationConfig,
    MixerPretrainingConfig,
    PseudoLabelsConfig,
    SSLTrainingConfig,
)
from samix.config.supervised import SLTrainingConfig, SupervisedConfig, SupervisedMixerConfig
from samix.core.errors import ConfigError

Host = Literal["sl", "ssl"]


class TrialSettings(Config):
    """Parameters of the stages that a trial goes through; their names are those of the stages' parameters."""

    model: ModelConfig
    supervised: SupervisedConfig
    mixer_pretraining_sl: SupervisedMixerConfig
    sl_training: SLTrainingConfig
    pseudo_labels: PseudoLabelsConfig
    mixer_pretraining: MixerPretrainingConfig
    ssl_training: SSLTrainingConfig
    linear_evaluation: LinearEvaluationConfig

    def changed(self, changes: Mapping[str, Any], where: str) -> TrialSettings:
        """The settings with some values replaced, "sl_training.policy.name" -> "cutmix".

        Raises: ConfigError that names `where` and the key for one that does not exist or cannot be so.
        """
        values = self.model_dump()
        for key, value in changes.items():
            *path, last = key.split(".")
            part = values
            for name in path:
                if not isinstance(part.get(name), dict):
                    raise ConfigError(f"{where}: there is no parameter {key}.")
                part = part[name]
            part[last] = value
        try:
            return TrialSettings.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ConfigError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


class Variant(Config):
    """One of the trainings that are compared."""

    name: str = Field(description="as the table shows it")
    group: str = Field("all", description="variants of a group are compared with each other")
    host: Host = Field("sl", description="sl: supervised training; ssl: MoCo, then linear evaluation")
    changes: dict[str, Any] = Field({}, description="parameters that differ, by their dotted names")


class AblationConfig(Config):
    """Pipeline samix_ablation: variants x seeds."""

    seeds: tuple[int, ...] = Field((0, 1), min_length=1)
    groups: tuple[str, ...] | None = Field(None, description="groups to run; null: all")
    common: dict[str, Any] = Field({}, description="changes that hold for every variant")
    variants: tuple[Variant, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rows_can_be_told_apart(self) -> Self:
        twins = twice([(variant.group, variant.host, variant.name) for variant in self.variants])
        if twins:
            group, host, name = twins[0]
            raise ValueError(f"variants: two of group {group} and host {host} are called {name}: rename one")
        if twice(self.seeds):
            raise ValueError(f"seeds: {twice(self.seeds)[0]} is there twice")
        return self

    def chosen(self) -> list[Variant]:
        """Variants of the groups to run. Raises: ConfigError for a group without variants."""
        return of_groups(self.variants, self.groups, "samix_ablation.groups")


class _Grouped(Protocol):
    @property
    def group(self) -> str | None: ...


G = TypeVar("G", bound=_Grouped)


def twice(values: Sequence[Any]) -> list[Any]:
    """Values that are in the sequence more than once, from their second place on."""
    return [value for place, value in enumerate(values) if value in values[:place]]


def of_groups(entries: Sequence[G], groups: Sequence[str] | None, where: str) -> list[G]:
    """Entries whose group is among `groups` or None; `groups` None: all.

    Raises: ConfigError for a group without entries.
    """
    known = {entry.group for entry in entries if entry.group is not None}
    missing = set(groups or ()) - known
    if missing:
        there = ", ".join(sorted(known))
        raise ConfigError(f"{where}: nothing is of group {', '.join(sorted(missing))}; there are {there}.")
    return [entry for entry in entries if groups is None or entry.group in (None, *groups)]
