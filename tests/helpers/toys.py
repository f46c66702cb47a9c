"""A learner that is small enough to be followed by hand, and what `fit` needs around it."""

import torch
from torch import nn

from samix.config.training import OptimizerConfig, TrainingConfig
from samix.core.learner import Learner, OptimizedModules
from samix.training import Job, fit, launch

PLAIN = OptimizerConfig(lr=0.1, momentum=0.0, weight_decay=0.0, schedule="constant")


class Line(Learner):
    """Least squares with a weight matrix and a bias; remembers its steps, as a memory would."""

    def __init__(self, optimizer=PLAIN, dropout=0.0):
        super().__init__()
        self.optimizer = optimizer
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(3, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.arange(6).view(2, 3) / 10)
            self.linear.bias.copy_(torch.tensor([0.5, -0.5]))
        self.register_buffer("after", torch.tensor(-1))

    def draw(self, batch, ctx):
        return torch.tensor(ctx.step)

    def training_step(self, batch, draws):
        x, y = batch
        loss = (self.linear(self.dropout(x)) - y).square().mean()
        return {"loss": loss, "step_seen": draws}

    def after_step(self, ctx):
        assert all(p.grad is None for p in self.parameters())  # the optimiser has taken them
        self.after.fill_(ctx.step)

    def parameter_sets(self):
        return {"line": OptimizedModules([self.linear], self.optimizer)}


class Numbers:
    """Four steps per epoch; KeyboardInterrupt at step `fails_at`, if given."""

    steps_per_epoch, batch_size = 4, 8

    def __init__(self, fails_at=None):
        self.fails_at = fails_at
        self.loaded = []

    def load(self, ctx):
        if ctx.step == self.fails_at:
            raise KeyboardInterrupt
        self.loaded.append(ctx.step)
        x = torch.randn(8, 3, generator=ctx.generator("x"))
        return x, x[:, :2] * 2 + 1


class Notes:
    """A sink that remembers."""

    def __init__(self):
        self.rows, self.flushed = [], 0

    def __call__(self, metrics, step):
        assert not self.flushed
        self.rows.append((step, dict(metrics)))

    def flush(self):
        self.flushed += 1


def toy_job(folder, *, seed=3, sink=None, **training):
    settings = {"device": "cpu", "threads": 1, "checkpoint_every": 100, "log_every": 1, **training}
    return Job(
        label="toy job",
        seed=seed,
        training=TrainingConfig(work_dir=folder, **settings),
        sink=sink,
    )


def train(job, learner, batches=None, epochs=3, **options):
    """The history of one `fit`, launched as every job is."""
    histories = []

    def worker(job, accelerator):
        histories.append(
            fit(learner, batches or Numbers(), epochs=epochs, job=job, accelerator=accelerator, **options)
        )

    launch(worker, job, job.training)
    return histories[0]
