"""Pipelines samix_ablation and mixup_benchmark: variants x backbones x seeds, as child runs of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedro.pipeline import Pipeline

from samix.config.comparison import ComparisonConfig
from samix.config.settings import Settings
from samix.config.training import TrainingConfig
from samix.kedro.pipelines.declared import CARD, declared_node

if TYPE_CHECKING:
    import pandas as pd

    from samix.data import Images

RUN_INFO = "reporting.run_info"


def comparison(name: str) -> Pipeline:
    """The comparison that the parameters of this name describe, on the images of data_preparation."""
    section = f"params:{name}"
    types = {section: ComparisonConfig}

    def run(found: dict[str, Any]) -> pd.DataFrame:
        return run_comparison(name, found["images"], found[section], found["parameters"])

    def compare_(found: dict[str, Any]) -> tuple[Any, Any, Any]:
        return compare(found["trials_table"])

    def report(found: dict[str, Any]) -> str:
        return write_report(
            found["trials_table"],
            found["summary_csv"],
            found[CARD],
            found[RUN_INFO],
            found["params:training"],
        )

    nodes = [
        declared_node(
            run,
            ["images", section, "params:training", "parameters"],
            "trials_table",
            name="run_trials",
            shown=run_comparison,
            types=types,
        ),
        declared_node(
            compare_,
            ["trials_table"],
            ["summary_csv", "results_picture", "cost_picture"],
            name="compare",
            shown=compare,
        ),
        declared_node(
            report,
            ["trials_table", "summary_csv", CARD, RUN_INFO, "params:training"],
            "report_markdown",
            name="write_report",
            shown=write_report,
        ),
    ]
    return Pipeline(
        nodes,
        namespace=name,
        inputs={name for node in nodes for name in node.inputs if "." in name},
        parameters={section, "params:training", "parameters"},
    )


def run_comparison(
    section: str, images: Images, config: ComparisonConfig, parameters: dict[str, Any]
) -> pd.DataFrame:
    """Train every variant with every seed; all of them are checked before the first one starts."""
    from samix.comparison import Comparison, plan
    from samix.kedro.trials import run_trials

    settings = settings_of(parameters)
    return run_trials(plan(section, config, settings, images.card), Comparison(images))


def settings_of(parameters: dict[str, Any]) -> Settings:
    """The sections that stages read, from Kedro's dictionary of all parameters."""
    from samix.kedro.mlflow_hook import plain

    return Settings.model_validate(plain({name: parameters[name] for name in Settings.model_fields}))


def compare(trials: pd.DataFrame) -> tuple[pd.DataFrame, Any, Any]:
    """A row per variant and backbone; pictures of the accuracies, and of accuracy against cost."""
    from samix.analysis.comparison import comparison_table
    from samix.analysis.cost import cost_figure
    from samix.analysis.trials_figure import trials_figure

    table = comparison_table(trials)
    return table, trials_figure(trials), cost_figure(table)


def write_report(
    trials: pd.DataFrame,
    table: pd.DataFrame,
    card: dict[str, Any],
    run_info: dict[str, Any],
    training: TrainingConfig,
) -> str:
    """One page: how it was made, the tables, what failed or was refused."""
    from datetime import UTC, datetime

    from samix.analysis.comparison import comparison_report
    from samix.training.machine import describe_devices

    date = datetime.now(UTC).strftime("%Y-%m-%d")
    about = {"run": run_info, "card": card, "devices": describe_devices(training), "date": date}
    return comparison_report(trials, table, about)
