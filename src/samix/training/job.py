"""A training job: picklable handles in, one result file out, reused while it still fits."""

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
from samix.core.fingerprint import code_of, fingerprint
from samix.core.weights import FINGERPRINT, MADE_WITH, WeightsFile, save_weights
from samix.training.launch import launch, resolve_precision
from samix.training.machine import made_with

_ELSEWHERE = ("training", "folder", "sink")
"""Fields that do not change the result, but for what `Job.fingerprint` says of training."""

log = logging.getLogger(__name__)


class MetricSink(Protocol):
    """Where live metrics go; picklable, because the rank 0 of a launched worker calls it."""

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        """Take the metrics of one step; may buffer."""

    def flush(self) -> None:
        """Hand over everything that is buffered."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every training job needs; each kind of job adds its own handles and parameters.

    label: shown by the progress bar, and the name of its random streams; folder: of checkpoints and result,
    below the training's work folder, None: the label; sink: live metrics, None for none.
    """

    label: str
    seed: int
    training: TrainingConfig
    folder: str | None = None
    sink: MetricSink | None = None

    @property
    def skips_parameters(self) -> bool:
        """Whether there are steps in which some parameters have no gradient; DDP wants to know."""
        return False

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """Classes and functions that the fields name; the code of their modules is part of the job."""
        return ()

    @cached_property
    def fingerprint(self) -> str:
        """Name of the result: equal for equal fields, data, results of earlier jobs and code of `named`.

        Of `training`, the number of processes and the precision change a result. Versions, processor and
        threads are recorded with the result instead, so that an update does not make results worthless.
        """
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _ELSEWHERE}
        how = {"devices": self.training.devices, "precision": resolve_precision(self.training)}
        return fingerprint(**own, training=how, code=sorted(map(code_of, self.named)))

    @property
    def work_dir(self) -> Path:
        """Folder of this job's checkpoints and result."""
        return self.training.work_dir / (self.folder or self.label.replace(" ", "_"))

    @property
    def result(self) -> WeightsFile:
        """Handle of the result file, whether it exists or not."""
        return WeightsFile(self.work_dir / "result.safetensors")

    def timing_path(self, name: str = "fit") -> Path:
        """File that tells what the `fit` called `name` took; not in the result, as no two runs agree."""
        return self.work_dir / f"{name}.timing.json"

    def finish(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Write the result, then drop the checkpoints; called by rank 0 at the end of the worker.

        Equal jobs give equal files on one machine, byte for byte, however often they were stopped on the way:
        the jobs that take this result are recognised by it. So nothing such as a time belongs in `metadata`.
        """
        record = {FINGERPRINT: self.fingerprint, MADE_WITH: made_with()}
        save_weights(self.result.path, tensors, {**record, **metadata})
        for pattern in ("*.checkpoint.pt", ".*.tmp.*"):  # the latter where a process died while writing
            for left in self.work_dir.glob(pattern):
                left.unlink()


J = TypeVar("J", bound=Job)


def run_job(worker: Callable[[J, Accelerator], None], job: J) -> WeightsFile:
    """Run `worker` in its processes and return its result; a result with this fingerprint is reused.

    Raises: what the worker raises; ConfigError where the device that was asked for is not there.
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
        return None  # a file that cannot be read is made anew
    return value
