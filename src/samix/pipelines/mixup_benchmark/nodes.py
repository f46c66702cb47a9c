"""Nodes of the pipeline mixup_benchmark."""

from __future__ import annotations

from typing import Any

from samix.config.benchmark import BenchmarkConfig
from samix.config.training import TrainingConfig
from samix.pipelines.frames import DataFrame
from samix.pipelines.trials import run_trials, settings_of


def run_benchmark(
    card: dict[str, Any],
    manifest: DataFrame,
    config: BenchmarkConfig,
    training: TrainingConfig,
    parameters: dict[str, Any],
) -> DataFrame:
    """Train every cell; all of them are checked before the first one starts."""
    from samix.jobs.benchmark import plan
    from samix.jobs.trials import Bench

    bench = Bench(card, manifest, training)
    return run_trials(plan(config, settings_of(parameters), bench), bench)


def compare(trials: DataFrame) -> tuple[DataFrame, Any]:
    """A row for each policy and backbone, and the picture of accuracy against cost."""
    from samix.analysis.benchmark import benchmark_table
    from samix.analysis.cost import cost_figure

    table = benchmark_table(trials)
    return table, cost_figure(table)


def write_report(
    trials: DataFrame,
    table: DataFrame,
    card: dict[str, Any],
    run_info: dict[str, Any],
    training: TrainingConfig,
) -> str:
    """One page: how it was made, the tables, what failed or was refused."""
    from datetime import UTC, datetime

    from samix.analysis.benchmark import benchmark_report
    from samix.training.machine import describe_devices

    date = datetime.now(UTC).strftime("%Y-%m-%d")
    about = {"run": run_info, "card": card, "devices": describe_devices(training), "date": date}
    return benchmark_report(trials, table, about)
