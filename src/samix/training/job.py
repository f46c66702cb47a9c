"""A training job: from picklable handles to one result file, reused while its fingerprint matches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from accelerate import Accelerator
from torch import Tensor

from samix.config.training import TrainingConfig
from samix.core.errors import DataError
from samix.core.fingerprint import code_of, content_of, fingerprint
from samix.core.weights import FINGERPRINT, MADE_WITH, WeightsFile, save_weights
from samix.training.launch import launch, resolve_precision
from samix.training.machine import made_with

_ELSEWHERE = ("training", "folder", "sink")
"""Fields that do not change the result, except the parts of training in `Job.fingerprint`."""

log = logging.getLogger(__name__)


class MetricSink(Protocol):
    """Receiver of live metrics; picklable, because rank 0 of a launched worker calls it."""

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of one step; may buffer."""

    def flush(self) -> None:
        """Write all buffered metrics."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Fields of every training job; each kind of job adds its own handles and parameters.

    label: shown by the progress bar, and part of the seeds of random streams; folder: of checkpoints and
    result, inside the training's work folder, None: the label; sink: receiver of live metrics, None: none.
    """

    label: str
    seed: int
    training: TrainingConfig
    folder: str | None = None
    sink: MetricSink | None = None

    @property
    def skips_parameters(self) -> bool:
        """Whether some parameters have no gradient in some steps (DDP's find_unused_parameters)."""
        return False

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """Classes and functions named by fields; the code of their modules is part of the fingerprint."""
        return ()

    @property
    def files(self) -> Iterable[Path]:
        """Files and folders named by fields; their contents are part of the fingerprint."""
        return ()

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the result: equal for equal fields, data, `files`, results of earlier jobs and code of
        `named`.

        Of `training`, only the number of processes and the precision are included. Versions, processor and
        threads are recorded with the result instead, so that an update does not invalidate results.
        """
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ELSEWHERE}
        how = {"devices": self.training.devices, "precision": resolve_precision(self.training)}
        code, files = sorted(map(code_of, self.named)), list(map(content_of, self.files))
        return fingerprint(**own, training=how, code=code, files=files)

    @property
    def work_dir(self) -> Path:
        """Folder of this job's checkpoints and result."""
        return self.training.work_dir / (self.folder or self.label.replace(" ", "_"))

    @property
    def result(self) -> WeightsFile:
        """Handle of the result file, whether it exists or not."""
        return WeightsFile(self.work_dir / "result.safetensors")

    def timing_path(self, name: str = "fit") -> Path:
        """File with time and memory of the `fit` called `name`; not in the result, as they vary."""
        return self.work_dir / f"{name}.timing.json"

    def finish(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Write the result, then remove the checkpoints; called by rank 0 at the end of the worker.

        On one machine, equal jobs write equal files, byte for byte, even if they were stopped and resumed:
        the fingerprints of jobs that read this result depend on it. `metadata` must not contain times.
        """
        record = {FINGERPRINT: self.fingerprint, MADE_WITH: made_with()}
        save_weights(self.result.path, tensors, {**record, **metadata})
        for pattern in ("*.checkpoint.pt", ".*.tmp.*"):  # the latter if a process died while writing
            for left in self.work_dir.glob(pattern):
                left.unlink()


J = TypeVar("J", bound=Job)


def run_job(worker: Callable[[J, Accelerator], None], job: J) -> WeightsFile:
    """Run `worker` in its processes and return its result; a result with this fingerprint is reused.

    Raises: errors of the worker; ConfigError if the configured device is missing.
    """
    if _fingerprint_of(job.result) == job.fingerprint:
        log.info("%s: nothing changed, reusing %s", job.label, job.result.path.name)
        return job.result
    launch(worker, job, job.training)
    return job.result


def _fingerprint_of(result: WeightsFile) -> str | None:
    if not result.path.exists():
        return None
    try:
        value: str | None = result.metadata.get(FINGERPRINT)
    except DataError:
        return None  # a file that cannot be read is written again
    return value
