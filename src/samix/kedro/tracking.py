"""Live metrics of a training job on their way to MLflow."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class MlflowSink:
    """Buffers metrics and logs them in batches; picklable, so rank 0 of a launched worker may hold it.

    It never opens or ends a run: a worker that did would close the parent's at its own exit.

    Args: uri of the tracking store; run_id; prefix of all keys ("ssl/"); seconds between two batches.
    """

    uri: str
    run_id: str
    prefix: str
    seconds: float = 5.0
    _rows: list[tuple[str, float, int, int]] = field(default_factory=list, init=False, repr=False)
    _last: float = field(default_factory=time.monotonic, init=False, repr=False)

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        """Take the metrics of one step; now and then hand over what has gathered."""
        now = int(time.time() * 1000)
        self._rows += [(f"{self.prefix}{key}", value, now, step) for key, value in metrics.items()]
        if time.monotonic() - self._last >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Log everything that is buffered; a store that does not answer costs a warning, not the training."""
        from mlflow import MlflowClient
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        self._last = time.monotonic()
        try:
            MlflowClient(self.uri).log_batch(self.run_id, metrics=[Metric(*row) for row in self._rows])
        except MlflowException as error:
            log.warning("MLflow did not take %d metrics, they stay buffered: %s", len(self._rows), error)
        else:
            self._rows.clear()


def stage_sink(prefix: str) -> MlflowSink | None:
    """Sink of the active MLflow run for keys `prefix/...`; None if no run is active.

    Called inside a node. MLflow is not imported for the question: no import, no run.
    """
    mlflow = sys.modules.get("mlflow")
    run = mlflow.active_run() if mlflow else None
    if mlflow is None or run is None:
        return None
    return MlflowSink(mlflow.get_tracking_uri(), run.info.run_id, f"{prefix}/")


@contextmanager
def child_run(name: str, parameters: Mapping[str, object], prefix: str) -> Iterator[MlflowSink | None]:
    """A run below the active one, for one of several trainings; its sink, or None if no run is active.

    It ends as FAILED where the body raises.
    """
    mlflow = sys.modules.get("mlflow")
    parent = mlflow.active_run() if mlflow else None
    if mlflow is None or parent is None:
        yield None
        return
    # in the experiment of its parent, whatever experiment was chosen last in this process
    with mlflow.start_run(run_name=name, nested=True, experiment_id=parent.info.experiment_id):
        mlflow.log_params(dict(parameters))
        yield stage_sink(prefix)
