"""Run the trials of a comparison, each under a child run of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from samix.config.trials import TrialSettings
from samix.core.errors import SamixError, TrainingError
from samix.kedro.interrupts import signal_behind
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


def run_trials(trials: Sequence[Trial], bench: Bench) -> DataFrame:
    """One row a trial: what it says of itself, status and the figures.

    status: "finished", "failed: ..." or "refused: ...". A trial that fails costs its own row alone; the next
    run tries it again and reuses the others. One that is refused is not tried.
    Raises: TrainingError where none can be finished.
    """
    import pandas as pd

    refused = {(trial.group, trial.name): trial.refused for trial in trials if trial.refused}
    for (group, name), reason in refused.items():
        log.warning("%s, %s is refused: %s", group, name, reason)
    total, number = sum(not trial.refused for trial in trials), 0
    clock = TimeLeft(total)
    rows: list[dict[str, Any]] = []
    for trial in trials:
        if trial.refused:
            rows.append({"status": f"refused: {trial.refused}"})
            continue
        number += 1
        log.info("trial %d of %d: %s%s", number, total, trial.title, clock.left())
        began = perf_counter()
        rows.append(_outcome(trial, bench))
        clock.add(perf_counter() - began)
    if all(row["status"] != "finished" for row in rows):
        raise TrainingError(f"every trial failed, the first with: {rows[0]['status']}")
    return pd.DataFrame([trial.about | row for trial, row in zip(trials, rows, strict=True)])


class TimeLeft:
    """How long the rest of `total` trials takes, judged by the mean of those that were trained in this run.

    A trial that took less than a second was done before and says nothing; that others may have been done as
    well is not known beforehand, so this is an upper estimate.
    """

    def __init__(self, total: int) -> None:
        self.rest = total
        self.seconds: list[float] = []

    def add(self, seconds: float) -> None:
        """One trial is over."""
        self.rest -= 1
        self.seconds += [seconds] if seconds >= 1 else []

    def left(self) -> str:
        """What a log line says; nothing while nothing is known."""
        if not self.seconds:
            return ""
        minutes = self.rest * sum(self.seconds) / len(self.seconds) / 60
        return f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"


def _outcome(trial: Trial, bench: Bench) -> dict[str, Any]:
    try:
        with child_run(trial.title, trial.about, trial.host) as sink:
            figures = bench.run(trial, sink)
            if sink is not None:
                sys.modules["mlflow"].log_metrics(figures)
            return {"status": "finished", **figures}
    except SamixError as error:
        log.error("%s: %s", trial.title, error)
        return {"status": f"failed: {error}"}
    except Exception as error:
        if signal_behind(error) is not None:
            raise
        # such as memory that does not suffice: no reason to lose the trials that are left
        log.exception("%s failed", trial.title)
        return {"status": f"failed: {type(error).__name__}: {error}"}
