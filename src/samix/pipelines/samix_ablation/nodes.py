"""Nodes of the pipeline samix_ablation."""

from __future__ import annotations

from typing import Any

from samix.config.training import TrainingConfig
from samix.config.trials import AblationConfig
from samix.pipelines.frames import DataFrame
from samix.pipelines.trials import run_trials, settings_of


def run_ablation(
    card: dict[str, Any],
    manifest: DataFrame,
    config: AblationConfig,
    training: TrainingConfig,
    parameters: dict[str, Any],
) -> DataFrame:
    """Train every variant with every seed; all settings are checked before the first one starts."""
    from samix.jobs.trials import Bench, Trial

    settings = settings_of(parameters).changed(config.common, "samix_ablation.common")
    trials = [
        Trial(v.group, v.name, v.host, settings.changed(v.changes, f"samix_ablation, variant {v.name}"), seed)
        for v in config.chosen()
        for seed in config.seeds
    ]
    return run_trials(trials, Bench(card, manifest, training))


def compare(trials: DataFrame) -> tuple[DataFrame, str, Any]:
    """Mean and standard deviation of each variant: as a table, as Markdown and as a picture."""
    from samix.analysis.trials import summary_markdown, summary_table, trials_figure

    table = summary_table(trials)
    return table, summary_markdown(table), trials_figure(trials)
