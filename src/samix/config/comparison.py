"""Comparisons, ablations and benchmarks alike: which variants are trained, on which backbones and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from samix.config.alphas import DataSet
from samix.config.base import Config
from samix.config.mixing import PolicyName
from samix.config.settings import Host
from samix.core.errors import ConfigError


class _Entry(Config):
    """An entry of a list: its first field alone, or a mapping; errors contain its name."""

    renamed = {"label": "name"}
    name: str | None

    @model_validator(mode="wrap")
    @classmethod
    def _of_name(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        first = next(key for key in cls.model_fields if key != "name")
        given = {first: value} if isinstance(value, str) else value
        try:
            return handler(given)
        except ValidationError as error:
            if not isinstance(given, dict):
                raise
            problem = error.errors(include_url=False)[0]
            key, what = ".".join(map(str, problem["loc"])), problem["msg"]
            if problem["type"] == "extra_forbidden":
                now = cls.renamed.get(key)
                known = f"unknown; an entry has {', '.join(cls.model_fields)}"
                what = f"renamed to {now}" if now else known
            name = given.get("name") or given.get(first) or "without a name"
            raise ValueError(f"entry {name}: {key}: {what}") from error


class Variant(_Entry):
    """A row of the table. `cutmix` alone means {policy: cutmix}."""

    policy: PolicyName | None = Field(None, description="null: the policy that the settings have")
    name: str | None = Field(None, description="as the table shows it; null: the policy's name")
    group: str | None = Field(
        "main", description="it runs if `groups` contains it; null: with every group, such as a plain row"
    )
    host: Host | None = Field(None, description="null: that of the comparison")
    alpha: float | None = Field(
        None, gt=0, description="of `policy`, lam ~ Beta(alpha, alpha); null: that of samix.config.alphas"
    )
    options: dict[str, Any] = Field({}, description="options of `policy`")
    changes: dict[str, Any] = Field({}, description="parameters of stages that differ, by dotted names")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.policy is None and self.name is None:
            raise ValueError("an entry needs a name or a policy")
        if self.policy is None and (self.alpha is not None or self.options):
            raise ValueError(f"entry {self.name}: alpha and options need a `policy`")
        return self

    @property
    def title(self) -> str:
        """As the table shows it."""
        return self.name or str(self.policy)


class BackboneEntry(_Entry):
    """A network. `resnet34` alone means {model: resnet34}."""

    model: str = Field(description="model.backbone.name")
    name: str | None = Field(None, description="as the table shows it; null: the model's name")
    changes: dict[str, Any] = Field({}, description="other keys of model.backbone that differ")

    @property
    def title(self) -> str:
        """As the table shows it."""
        return self.name or self.model


class ComparisonConfig(Config):
    """Pipelines samix_ablation and mixup_benchmark: variants x backbones x seeds."""

    renamed = {"policies": "variants"}

    variants: tuple[Variant, ...] = Field(min_length=1)
    groups: tuple[str, ...] | None = Field(None, description="groups to run; null: all")
    backbones: tuple[BackboneEntry, ...] | None = Field(
        None, min_length=1, description="null: model.backbone as it is"
    )
    seeds: tuple[int, ...] = Field((0, 1), min_length=1)
    host: Host = Field(
        "sl", description="sl: supervised training; ssl: self-supervised training, then linear evaluation"
    )
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
    common: dict[str, Any] = Field({}, description="changes that hold for every variant")

    @model_validator(mode="after")
    def _rows_can_be_told_apart(self) -> Self:
        rows = [(variant.group, variant.host or self.host, variant.title) for variant in self.variants]
        for group, host, title in _twice(rows):
            where = f"of host {host}" if group is None else f"of group {group} and host {host}"
            raise ValueError(f"variants: two {where} are called {title}: give one another name")
        for title in _twice([entry.title for entry in self.backbones or ()]):
            raise ValueError(f"backbones: two entries are called {title}: give one another name")
        for seed in _twice(self.seeds):
            raise ValueError(f"seeds: {seed} is there twice")
        return self

    def chosen(self, section: str) -> list[Variant]:
        """Variants of the groups to run. Raises: ConfigError naming `section` if a group has none."""
        known = {variant.group for variant in self.variants if variant.group is not None}
        missing = set(self.groups or ()) - known
        if missing:
            raise ConfigError(
                f"{section}.groups: nothing is of group {', '.join(sorted(missing))}; "
                f"there are {', '.join(sorted(known))}."
            )
        return [v for v in self.variants if self.groups is None or v.group in (None, *self.groups)]


def _twice(values: Sequence[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value in values[:place]]
