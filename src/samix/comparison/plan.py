"""From the configuration of a comparison to its trials, all of them checked before the first one trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from samix.comparison.trial import Trial
from samix.config.alphas import default_alpha, family_of
from samix.config.comparison import BackboneEntry, ComparisonConfig, Variant
from samix.config.settings import Settings
from samix.core.errors import ConfigError, IncompatibleError, SamixError
from samix.mixup import POLICIES
from samix.stages import CHAINS
from samix.stages.checks import check_settings


def plan(section: str, config: ComparisonConfig, settings: Settings, card: Mapping[str, Any]) -> list[Trial]:
    """The trials, in the order of the table.

    A policy that a backbone, the host or the loss cannot work with is refused; everything else that is wrong
    is an error. Args: section, the key of the configuration; card, of the data.
    Raises: ConfigError that names the variant and the key at fault.
    """
    # the first validation would import it, and the seconds of the first trial would contain that
    import torchmetrics.functional.classification  # noqa: F401

    common = settings.changed(config.common, f"{section}.common")
    trials: list[Trial] = []
    for backbone, on_backbone in _backbones(section, config, common):
        for variant in config.chosen(section):
            where = f"{section}.variants, entry {variant.title}"
            found = on_backbone.changed(_changes(config, variant, on_backbone, card), where)
            first = Trial(
                variant=variant.title,
                host=variant.host or config.host,
                settings=found,
                seed=config.seeds[0],
                backbone=backbone,
                group=variant.group,
            )
            first = replace(first, refused=_refusal(first, card, f"{where}, backbone {backbone}"))
            trials += [replace(first, seed=seed) for seed in config.seeds]
    return trials


def _refusal(trial: Trial, card: Mapping[str, Any], where: str) -> str | None:
    """Why the policy cannot be trained; None if it can."""
    chain = CHAINS[trial.host]
    skipped = chain.skipped(trial.settings)
    stages = [stage for stage in chain.compared() if stage.name not in skipped]
    try:
        check_settings(stages, trial.settings, card)
    except IncompatibleError as error:
        return str(error).removeprefix(f"{chain.trained}.policy: ")
    except SamixError as error:
        raise ConfigError(f"{where}: {error}") from error
    return None


def _backbones(section: str, config: ComparisonConfig, settings: Settings) -> list[tuple[str, Settings]]:
    if config.backbones is None:
        return [(settings.model.backbone.name, settings)]
    return [(entry.title, _on(section, entry, settings)) for entry in config.backbones]


def _on(section: str, entry: BackboneEntry, settings: Settings) -> Settings:
    changes = {"name": entry.model, **entry.changes}
    where = f"{section}.backbones, entry {entry.title}"
    return settings.changed({f"model.backbone.{key}": value for key, value in changes.items()}, where)


def _changes(
    config: ComparisonConfig, variant: Variant, settings: Settings, card: Mapping[str, Any]
) -> dict[str, Any]:
    """All changes of a variant, its own ones last."""
    chain = CHAINS[variant.host or config.host]
    lengths = {f"{chain.trained}.epochs": config.epochs, f"{chain.mixer}.epochs": config.mixer_epochs}
    changes: dict[str, Any] = {key: epochs for key, epochs in lengths.items() if epochs is not None}
    if variant.policy is not None:
        alpha = variant.alpha
        if alpha is None:
            family = family_of(settings.model.backbone.name)
            own = POLICIES[variant.policy].default_alpha if variant.policy != "none" else 1.0
            alpha = default_alpha(variant.policy, config.alphas or card["source"], family, own)
        # lam is that of the settings
        policy = {"name": variant.policy, "alpha": alpha, "options": variant.options}
        changes |= {f"{chain.trained}.policy.{key}": value for key, value in policy.items()}
    return {**changes, **variant.changes}
