"""A trial's way through its chain: the trainings that lead from settings and a seed to figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from samix.comparison.trial import Trial
from samix.core.files import read_json
from samix.data import Images
from samix.stages import CHAINS, Chain, Stage, Step, Task
from samix.training import Job, MetricSink, run_job
from samix.training.machine import reset_peak_memory


@dataclass(frozen=True)
class Comparison:
    """What all trials share: the images.

    Results are in folders named by their fingerprint: trainings that trials have in common are done once, and
    nothing that is finished is done again.
    """

    images: Images

    def run(self, trial: Trial, sink: MetricSink | None) -> dict[str, float]:
        """Figures of one trial: those of the chain's stages, top1 and top1_last (%) among them, and its cost.

        The cost is seconds_per_epoch and peak_memory_mb of the training with the policy, as they were when it
        was done, and pretraining_seconds if a frozen Mixer was trained before.
        """
        chain = CHAINS[trial.host]
        way = _Way(self.images, trial, chain, sink)
        figures: dict[str, float] = {}
        for stage in chain.stages:
            if stage.figures is not None:
                task = stage.tasks[0]
                found = stage.figures(way.result(stage.full_name(task.result)))
                figures |= {_column(key, task.metrics): value for key, value in found.items()}
        cost: dict[str, float] = read_json(way.jobs[chain.trained].timing_path())
        if chain.mixer in way.jobs:
            seconds = read_json(way.jobs[chain.mixer].timing_path())["seconds_per_epoch"]
            cost["pretraining_seconds"] = seconds * getattr(trial.settings, chain.mixer).epochs
        return figures | cost


@dataclass
class _Way:
    """Results of one trial, each made when it is asked for first."""

    images: Images
    trial: Trial
    chain: Chain
    sink: MetricSink | None
    found: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def result(self, name: str) -> Any:
        """The result "<stage>.<data set>"."""
        if name not in self.found:
            stage, data_set = self.chain[name.split(".")[0]], name.split(".")[1]
            task = next((task for task in stage.tasks if task.result == data_set), None)
            if task is not None:
                self.found[name] = self._train(stage, task)
            else:
                self._take(stage, next(step for step in stage.steps if data_set in step.outputs))
        return self.found[name]

    def _take(self, stage: Stage, step: Step) -> None:
        made = step.make(*(self._input(stage, name) for name in step.inputs))
        made = made if len(step.outputs) > 1 else (made,)
        self.found |= {stage.full_name(name): one for name, one in zip(step.outputs, made, strict=True)}

    def _input(self, stage: Stage, name: str) -> Any:
        if name.startswith("params:"):
            return getattr(self.trial.settings, name.removeprefix("params:"))
        known = {"images": self.images, "seed": self.trial.seed}
        return known[name] if name in known else self.result(stage.full_name(name))

    def _train(self, stage: Stage, task: Task) -> Any:
        settings, names = self.trial.settings, task.needed(self.trial.settings)
        upstream = {name: self.result(name) for name in names}
        worker, job = task.job(settings, self.images, upstream, self.trial.seed)
        folder = f"trials/{stage.name}-{job.fingerprint[:16]}"
        followed = stage.name == self.chain.trained
        job = replace(job, folder=folder, sink=self.sink if followed else None)
        if stage.name in (self.chain.trained, self.chain.mixer) and not job.timing_path().exists():
            job.result.path.unlink(missing_ok=True)  # without its cost a training is incomplete: again
        reset_peak_memory()
        self.jobs[stage.name] = job
        return run_job(worker, job)


def _column(key: str, prefix: str) -> str:
    """Name of a figure in a table: "linear.top1" -> top1, "knn.top1" -> knn_top1."""
    return key.removeprefix(f"{prefix}.").replace(".", "_")
