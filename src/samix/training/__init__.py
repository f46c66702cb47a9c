"""Training: one loop for every `Learner`, with Accelerate and exact resume.

A `Job` is a picklable description of a training: handles of data and weights, parameters, seed and label. Its
`fingerprint` identifies the result. `run_job` returns the result file (`WeightsFile`) if one with this
fingerprint exists; else it runs the worker of the job through `launch`, in this process or in one process per
device.

The worker builds a `Learner` and its `Batches` and calls `fit`, which runs all steps, logs metrics to the
`MetricSink` and writes checkpoints. A stopped `fit` continues from its last checkpoint with the results of an
uninterrupted run, because batches and random numbers are functions of (seed, step, rank). At the end the
worker calls `Job.finish`, which writes the result and removes the checkpoints.
"""

from samix.training.fit import Batches, fit, has_checkpoint
from samix.training.job import Job, MetricSink, run_job
from samix.training.launch import launch

__all__ = ["Batches", "Job", "MetricSink", "fit", "has_checkpoint", "launch", "run_job"]
