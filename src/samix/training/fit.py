"""The one training loop: any Learner, on Accelerate, with live metrics and exact resume."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor

from samix.core.errors import TrainingError
from samix.core.files import write_json
from samix.core.learner import Learner, OptimizedModules
from samix.core.progress import progress_bar
from samix.core.random import seed_for
from samix.core.step import StepContext
from samix.training.checkpoint import Checkpoint
from samix.training.job import Job
from samix.training.optimizers import make_optimizer, make_scheduler


class Batches(Protocol):
    """Batches as a pure function of (seed, step, rank): a resumed run sees what it would have seen."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one epoch; an incomplete last batch is dropped."""

    @property
    def batch_size(self) -> int:
        """Images of a global batch."""

    def load(self, ctx: StepContext) -> Any:
        """This rank's part of the batch of `ctx.step`, on `ctx.device`."""


EpochEnd = Callable[[Learner, StepContext], dict[str, float]]
NextEpoch = Callable[[Learner, StepContext], None]


def fit(
    learner: Learner,
    batches: Batches,
    *,
    epochs: int,
    job: Job,
    accelerator: Accelerator,
    name: str = "fit",
    on_epoch_end: EpochEnd | None = None,
    before_epoch: NextEpoch | None = None,
) -> list[dict[str, float]]:
    """Train `learner` in place for `epochs` and return the history, one row a logged step.

    The job's checkpoint called `name` is continued where there is one. `on_epoch_end` returns metrics of
    the epoch, computed without gradients, and must leave the learner's state alone. `before_epoch` may change
    it between two epochs, as a function of that state and of the context of the epoch's first step.

    Raises: TrainingError where a loss or a weight is not finite, before that state is saved anywhere.
    """
    run = _Run(learner, batches, epochs, job, accelerator, name)
    run.resume()
    run.train(on_epoch_end, before_epoch)
    return run.history


def has_checkpoint(job: Job, name: str) -> bool:
    """Whether the `fit` called `name` of this job has begun before."""
    return Checkpoint.load(_checkpoint_path(job, name), job.fingerprint) is not None


def _checkpoint_path(job: Job, name: str) -> Path:
    return job.work_dir / f"{name}.checkpoint.pt"


class _Run:
    """State of one `fit`."""

    def __init__(
        self, learner: Learner, batches: Batches, epochs: int, job: Job, accelerator: Accelerator, name: str
    ) -> None:
        self.batches, self.job, self.accelerator = batches, job, accelerator
        self.name = name
        self.total = epochs * batches.steps_per_epoch
        self.learner = learner.to(accelerator.device).train()
        self.sets = learner.parameter_sets()
        self.optimizers = [accelerator.prepare(make_optimizer(s)) for s in self.sets.values()]
        self.schedulers = [
            make_scheduler(o, s.optimizer, self.total)
            for o, s in zip(self.optimizers, self.sets.values(), strict=True)
        ]
        # the wrapper that DDP and autocast need; `learner` stays the module itself
        self.model = accelerator.prepare(learner)
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.pending: list[dict[str, Tensor]] = []

    def resume(self) -> None:
        saved = Checkpoint.load(_checkpoint_path(self.job, self.name), self.job.fingerprint)
        if saved is None:
            return
        self.step, self.history = saved.step, saved.history
        self.learner.load_state_dict(saved.learner)
        for optimizer, state in zip(self.optimizers, saved.optimizers, strict=True):
            optimizer.load_state_dict(state)
        for row in self.history:  # a new sink gets the whole curve
            self.report({k: v for k, v in row.items() if k not in ("step", "epoch")}, int(row["step"]))

    def train(self, on_epoch_end: EpochEnd | None, before_epoch: NextEpoch | None) -> None:
        main = self.accelerator.is_main_process
        first, began = self.step, time.perf_counter()
        label = self.job.label if self.name == "fit" else f"{self.job.label} {self.name}"
        with progress_bar(label, self.total, self.step, images=self.batches.batch_size, show=main) as bar:
            while self.step < self.total:
                self.train_step()
                if self.step % self.batches.steps_per_epoch == 0 and on_epoch_end:
                    self.flush()
                    self.epoch_end(on_epoch_end)
                if self.step % self.batches.steps_per_epoch == 0 and self.step < self.total and before_epoch:
                    # before the checkpoint of this step: a resumed run must not do it twice
                    before_epoch(self.learner, self.context(self.step))
                if self.step % self.job.training.log_every == 0 or self.step == self.total:
                    self.flush()
                    bar.update(bar.task_ids[0], note=f"loss {self.history[-1]['loss']:.3f}")
                if self.step % self.job.training.checkpoint_every == 0 or self.step == self.total:
                    self.save()
                bar.advance(bar.task_ids[0])
        if main and self.job.sink:
            self.job.sink.flush()
        if main and self.step > first:
            seconds = (time.perf_counter() - began) / (self.step - first) * self.batches.steps_per_epoch
            write_json(self.job.timing_path(self.name), {"seconds_per_epoch": seconds, **self.memory()})

    def memory(self) -> dict[str, float]:
        """Peak memory in MB: of the GPU, or of this process, earlier trainings included."""
        if self.accelerator.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.accelerator.device)
        else:
            peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"peak_memory_mb": peak / 2**20}

    def train_step(self) -> None:
        ctx = self.context(self.step)
        # dropout and the samplers of libraries draw from the global generator
        torch.manual_seed(seed_for(ctx.seed, "global", ctx.step, ctx.rank))
        for scheduler, parameters in zip(self.schedulers, self.sets.values(), strict=True):
            spe = self.batches.steps_per_epoch
            scheduler.step_update(self.step // spe * spe if parameters.optimizer.per_epoch else self.step)
        batch = self.batches.load(ctx)
        draws = self.learner.draw(batch, ctx)
        self.learner.before_step(ctx)
        metrics = self.model(batch, draws)
        self.accelerator.backward(metrics["loss"])
        for optimizer, parameters in zip(self.optimizers, self.sets.values(), strict=True):
            if parameters.optimizer.clip_grad is not None:
                self.accelerator.clip_grad_norm_(_trainable(parameters), parameters.optimizer.clip_grad)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.learner.after_step(ctx)
        self.pending.append({key: value.detach() for key, value in metrics.items()})
        self.step += 1

    def context(self, step: int) -> StepContext:
        return StepContext(
            seed=seed_for(self.job.seed, f"{self.job.label}/{self.name}"),
            step=step,
            total_steps=self.total,
            epoch=step // self.batches.steps_per_epoch,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
            device=self.accelerator.device,
        )

    def epoch_end(self, on_epoch_end: EpochEnd) -> None:
        self.learner.eval()
        with torch.no_grad():
            metrics = on_epoch_end(self.learner, self.context(self.step - 1))
        self.learner.train()
        self.history[-1] |= metrics
        self.report(metrics, self.step)

    def flush(self) -> None:
        """Move the metrics of the last steps to the host in one transfer, check, average and report them."""
        if not self.pending:
            return
        rows = _on_host(self.pending)
        losses = torch.tensor([row["loss"] for row in rows])
        if not bool(losses.isfinite().all()):
            bad = int((~losses.isfinite()).nonzero()[0])
            raise TrainingError(
                f"{self.job.label}: the loss is not finite at step {self.step - len(rows) + bad} "
                f"({rows[bad]}). Lower the learning rate or use precision 'no'; nothing of it was saved."
            )
        means = _means(rows)
        rates = {
            f"lr/{name}": o.param_groups[0]["lr"] for name, o in zip(self.sets, self.optimizers, strict=True)
        }
        epoch = self.step / self.batches.steps_per_epoch
        self.pending = []
        self.history.append({"step": float(self.step), "epoch": epoch, **means, **rates})
        self.report({**means, **rates}, self.step)

    def report(self, metrics: dict[str, float], step: int) -> None:
        if self.accelerator.is_main_process and self.job.sink:
            prefix = "" if self.name == "fit" else f"{self.name}/"
            finite = {prefix + key: value for key, value in metrics.items() if math.isfinite(value)}
            self.job.sink(finite, step)

    def save(self) -> None:
        self.flush()  # raises before a state with a loss that is not finite is kept
        self.require_finite_weights()
        if self.accelerator.is_main_process:
            Checkpoint(
                self.job.fingerprint,
                self.step,
                self.learner.state_dict(),
                [optimizer.state_dict() for optimizer in self.optimizers],
                self.history,
            ).save(_checkpoint_path(self.job, self.name))

    def require_finite_weights(self) -> None:
        """The last update may have spoilt the weights though its loss was finite; all ranks see the same."""
        finite = torch.stack([p.isfinite().all() for p in self.learner.parameters()])
        if not bool(finite.all()):
            raise TrainingError(
                f"{self.job.label}: weights are not finite after step {self.step - 1}. "
                "Lower the learning rate or use precision 'no'; nothing of it was saved."
            )


def _on_host(rows: list[dict[str, Tensor]]) -> list[dict[str, float]]:
    """Metrics of some steps as numbers, in one transfer; a step need not have all of them."""
    values = iter(torch.stack([value.float() for row in rows for value in row.values()]).tolist())
    return [{key: next(values) for key in row} for row in rows]


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric over the steps that have it, in the order of first appearance."""
    keys = dict.fromkeys(key for row in rows for key in row)
    found = {key: [row[key] for row in rows if key in row] for key in keys}
    return {key: sum(values) / len(values) for key, values in found.items()}


def _trainable(parameters: OptimizedModules) -> list[Tensor]:
    return [p for module in parameters.modules for p in module.parameters() if p.requires_grad]
