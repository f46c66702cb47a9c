"""Start the worker of a job: in this process for one device, through torch elastic for several."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError, TrainingError

T = TypeVar("T")
Worker = Callable[[T, Accelerator], None]

log = logging.getLogger(__name__)

# CPU features of x86 and Arm, by torch's names
_BF16_UNITS = ("amx_bf16", "avx512_bf16", "bf16")

# They print a failed worker's traceback, which the error raised here contains
_TALKATIVE = ("torch.distributed.elastic.multiprocessing.api", "torch.multiprocessing.spawn")


def launch(worker: Worker[T], job: T, training: TrainingConfig) -> None:
    """Run `worker(job, accelerator)` on `training.devices` processes of this machine.

    Several processes require a worker at the top level of a module and a picklable job; the result is a file.

    Raises: errors of the worker or, with several processes, TrainingError with the message of the first
    failure; ConfigError for a GPU, or more GPUs, than the machine has.
    """
    check_devices(training)
    if training.precision == "auto":
        device = torch.cuda.get_device_name() if use_gpu(training) else "this CPU"
        log.info("training.precision: auto is %s on %s", resolve_precision(training), device)
    if training.devices == 1:
        _enter(worker, job, training)
        return
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=training.devices,
        run_id="samix",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=0,
        start_method="spawn",
        monitor_interval=0.1,
    )
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        elastic_launch(config, _enter)(worker, job, training)
    except ChildFailedError as error:
        number, failure = error.get_first_failure()
        raise TrainingError(
            f"process {number} of {training.devices} failed: {_message(failure.message)}"
        ) from error


def use_gpu(training: TrainingConfig) -> bool:
    """Whether training runs on a GPU."""
    return training.device != "cpu" and torch.cuda.is_available()


def resolve_precision(training: TrainingConfig) -> Literal["no", "bf16"]:
    """The precision of training: the configured one, or for "auto" bf16 if the device has units for it.

    A CPU that emulates bf16, or a GPU older than Ampere, would be slower with it.
    """
    if training.precision != "auto":
        return training.precision
    if use_gpu(training):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    units = torch.cpu.get_capabilities()
    return "bf16" if any(units.get(name) for name in _BF16_UNITS) else "no"


def check_devices(training: TrainingConfig) -> None:
    """Raise ConfigError if the configured devices are missing."""
    if training.device == "gpu" and not torch.cuda.is_available():
        raise ConfigError("training.device is 'gpu', but torch sees no GPU here. Use 'auto' or 'cpu'.")
    if use_gpu(training) and training.devices > torch.cuda.device_count():
        raise ConfigError(
            f"training.devices is {training.devices}, but there are {torch.cuda.device_count()} GPUs."
        )


def _message(message: Any) -> str:
    """Message of a failure, which torch elastic reports as a text or as a record with the text."""
    return str(message["message"] if isinstance(message, dict) else message)


def _enter(worker: Worker[Any], job: Any, training: TrainingConfig) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(training.threads or max(1, cores // training.devices))
    # Accelerate keeps its state until the process ends; the stages of one run may differ in precision
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=not use_gpu(training),
        mixed_precision=resolve_precision(training),
        # each rank has its own statistics of the momentum network; updates keep the queue equal on all ranks
        kwargs_handlers=[
            DistributedDataParallelKwargs(
                broadcast_buffers=False, find_unused_parameters=getattr(job, "skips_parameters", False)
            )
        ],
    )
    worker(job, accelerator)
    if torch.distributed.is_initialized():
        accelerator.wait_for_everyone()
        torch.distributed.destroy_process_group()
