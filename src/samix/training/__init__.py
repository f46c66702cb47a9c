"""One way to train: `fit` on Accelerate, launched by `launch`, resumed exactly from checkpoints."""

from samix.training.fit import Batches, fit, has_checkpoint
from samix.training.job import Job, MetricSink, run_job
from samix.training.launch import launch

__all__ = ["Batches", "Job", "MetricSink", "fit", "has_checkpoint", "launch", "run_job"]
