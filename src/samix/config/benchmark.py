"""The benchmark of policies: which entries are trained, on which backbones, with which seeds."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from samix.config.alphas import DataSet
from samix.config.base import Config
from samix.config.mixing import PolicyName
from samix.config.trials import Host, of_groups, twice


class _Entry(Config):
    """An entry of a list: its name alone, or a mapping; mistakes are told with its name."""

    @model_validator(mode="wrap")
    @classmethod
    def _of_name(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        first = next(iter(cls.model_fields))
        given = {first: value} if isinstance(value, str) else value
        try:
            return handler(given)
        except ValidationError as error:
            if not isinstance(given, dict):
                raise
            problem = error.errors(include_url=False)[0]
            key, allowed = ".".join(map(str, problem["loc"])), ", ".join(cls.model_fields)
            unknown = f"unknown; an entry has {allowed}"
            what = unknown if problem["type"] == "extra_forbidden" else problem["msg"]
            raise ValueError(
                f"entry {given.get('label') or given.get(first, 'without a name')}: {key}: {what}"
            ) from error


class PolicyEntry(_Entry):
    """A row of the table. `cutmix` alone stands for {policy: cutmix}."""

    policy: PolicyName
    label: str | None = Field(None, description="as the table shows it; null: the policy's name")
    group: str | None = Field("main", description="it runs if `groups` has it; null: in any case")
    alpha: float | None = Field(
        None, gt=0, description="lam ~ Beta(alpha, alpha); null: that of samix.config.alphas"
    )
    options: dict[str, Any] = Field({}, description="the policy's own keywords")
    changes: dict[str, Any] = Field({}, description="parameters of stages that differ, by dotted names")

    @property
    def name(self) -> str:
        """As the table shows it."""
        return self.label or self.policy


class BackboneEntry(_Entry):
    """A network. `resnet34` alone stands for {model: resnet34}."""

    model: str = Field(description="model.backbone.name")
    label: str | None = Field(None, description="as the table shows it; null: the model's name")
    changes: dict[str, Any] = Field({}, description="other keys of model.backbone that differ")

    @property
    def name(self) -> str:
        """As the table shows it."""
        return self.label or self.model


class BenchmarkConfig(Config):
    """Pipeline mixup_benchmark: policies x backbones x seeds."""

    policies: tuple[PolicyEntry, ...] = Field(min_length=1)
    groups: tuple[str, ...] | None = Field(None, description="groups to run; null: all")
    backbones: tuple[BackboneEntry, ...] | None = Field(
        None, min_length=1, description="null: model.backbone as it is"
    )
    seeds: tuple[int, ...] = Field((0, 1), min_length=1)
    host: Host = Field("sl", description="sl: supervised training; ssl: MoCo, then linear evaluation")
    epochs: int | None = Field(
        None, ge=1, description="of every training; null: those of sl_training or ssl_training"
    )
    mixer_epochs: int | None = Field(
        None, ge=1, description="of the Mixer's pre-training for samix_p; null: those of its stage"
    )
    alphas: DataSet | None = Field(
        None,
        description="data set whose default alphas are taken; null: that of the source, or CIFAR's",
    )
    common: dict[str, Any] = Field({}, description="changes that hold for every entry")

    @model_validator(mode="after")
    def _rows_can_be_told_apart(self) -> Self:
        for key, entries in (("policies", self.policies), ("backbones", self.backbones or ())):
            twins = twice([entry.name for entry in entries])
            if twins:
                raise ValueError(f"{key}: two entries are called {twins[0]}: give one a label")
        if twice(self.seeds):
            raise ValueError(f"seeds: {twice(self.seeds)[0]} is there twice")
        return self

    def chosen(self) -> list[PolicyEntry]:
        """Entries of the groups to run. Raises: ConfigError for a group without entries."""
        return of_groups(self.policies, self.groups, "mixup_benchmark.groups")
