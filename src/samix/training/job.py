"""A training job: picklable handles in, one result file out, reused while it still fits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from accelerate import Accelerator
from torch import Tensor

from samix.config.training import TrainingConfig
from samix.core.errors import DataError
from samix.core.weights import WeightsFile, save_weights
from samix.training.launch import launch

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

    work_dir: folder of this job's checkpoints and result; fingerprint: of parameters and inputs;
    label: shown by the progress bar, and the name of its random streams; folder below the training's work
    folder, None: the label; sink: live metrics, None for none.
    """

    label: str
    fingerprint: str
    seed: int
    training: TrainingConfig
    folder: str | None = None
    sink: MetricSink | None = None

    @property
    def skips_parameters(self) -> bool:
        """Whether there are steps in which some parameters have no gradient; DDP wants to know."""
        return False

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

        Equal jobs give equal files, byte for byte, however often they were stopped on the way: the jobs that
        take this result are recognised by it. So nothing such as a time belongs in `metadata`.
        """
        save_weights(self.result.path, tensors, {"fingerprint": self.fingerprint, **metadata})
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
        value: str | None = result.metadata.get("fingerprint")
    except DataError:
        return None  # a file that cannot be read is made anew
    return value
