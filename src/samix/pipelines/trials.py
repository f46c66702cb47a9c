"""Run the trials of a comparison, each under a child run of its own."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from samix.config.trials import TrialSettings
from samix.core.errors import SamixError, TrainingError
from samix.kedro.tracking import child_run
from samix.pipelines.frames import DataFrame

if TYPE_CHECKING:
    from samix.jobs.trials import Bench, Trial

log = logging.getLogger(__name__)


def settings_of(parameters: dict[str, Any]) -> TrialSettings:
    """The parameters that trials may vary, from Kedro's dictionary of all."""
    from samix.kedro.mlflow_hook import plain

    return TrialSettings.model_validate(
        plain({name: parameters[name] for name in TrialSettings.model_fields})
    )


def run_trials(trials: list[Trial], bench: Bench) -> DataFrame:
    """One row a trial: group, variant, host, seed, status and the figures.

    A trial that fails costs its own row alone; the next run tries it again and reuses the others.
    Raises: TrainingError where all of them fail.
    """
    import pandas as pd

    rows = []
    for number, trial in enumerate(trials, start=1):
        log.info("trial %d of %d: %s, %s, seed %d", number, len(trials), trial.group, trial.name, trial.seed)
        about = {"group": trial.group, "variant": trial.name, "host": trial.host, "seed": trial.seed}
        rows.append(about | _outcome(trial, bench, about))
    if all(row["status"] != "finished" for row in rows):
        raise TrainingError(f"every trial failed, the first with: {rows[0]['status']}")
    return pd.DataFrame(rows)


def _outcome(trial: Trial, bench: Bench, about: dict[str, Any]) -> dict[str, Any]:
    try:
        with child_run(f"{trial.group} {trial.name} seed{trial.seed}", about, trial.host) as sink:
            figures = bench.run(trial, sink)
            if sink is not None:
                sys.modules["mlflow"].log_metrics(figures)
            return {"status": "finished", **figures}
    except SamixError as error:
        log.error("%s, seed %d: %s", trial.name, trial.seed, error)
        return {"status": f"failed: {error}"}
