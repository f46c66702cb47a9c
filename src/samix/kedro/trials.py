"""Run the trials of a comparison, each under a child run of its own."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from samix.core.errors import SamixError, TrainingError
from samix.kedro.interrupts import signal_behind
from samix.kedro.tracking import child_run

if TYPE_CHECKING:
    import pandas as pd

    from samix.comparison import Comparison, Trial

log = logging.getLogger(__name__)


def run_trials(trials: Sequence[Trial], comparison: Comparison) -> pd.DataFrame:
    """One row per trial: its description, status and the figures.

    status: "finished", "failed: ..." or "refused: ...". A trial that fails costs its own row alone; the next
    run tries it again and reuses the others. One that is refused is not tried.
    Raises: TrainingError if none can be finished.
    """
    import pandas as pd

    for title, reason in {trial.setting: trial.refused for trial in trials if trial.refused}.items():
        log.warning("%s is refused: %s", title, reason)
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
        rows.append(_outcome(trial, comparison))
        clock.add(perf_counter() - began)
    if all(row["status"] != "finished" for row in rows):
        raise TrainingError(f"every trial failed, the first with: {rows[0]['status']}")
    return pd.DataFrame([trial.about | row for trial, row in zip(trials, rows, strict=True)])


class TimeLeft:
    """How long the rest of `total` trials takes, by the mean of those that were trained in this run.

    A trial that took less than a second was done before and is left out; others may have been done as well,
    which is not known beforehand, so this is an upper estimate.
    """

    def __init__(self, total: int) -> None:
        self.rest = total
        self.seconds: list[float] = []

    def add(self, seconds: float) -> None:
        """Count one trial and its seconds."""
        self.rest -= 1
        self.seconds += [seconds] if seconds >= 1 else []

    def left(self) -> str:
        """The end of a log line; empty as long as no trial was trained."""
        if not self.seconds:
            return ""
        minutes = self.rest * sum(self.seconds) / len(self.seconds) / 60
        return f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"


def _outcome(trial: Trial, comparison: Comparison) -> dict[str, Any]:
    try:
        with child_run(trial.title, trial.about, trial.host) as sink:
            figures = comparison.run(trial, sink)
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
