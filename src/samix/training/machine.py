"""Hardware and versions of a training, and its peak memory."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from samix.config.training import TrainingConfig
from samix.core.versions import source_digest, versions
from samix.training.launch import resolve_precision, use_gpu


def reset_peak_memory() -> None:
    """Reset the peak memory that `fit` reports, of the GPU and of this process.

    Only Linux can reset the peak of a process; elsewhere it includes earlier trainings.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def made_with() -> dict[str, Any]:
    """Versions and hardware, recorded with a result; they are not part of its fingerprint."""
    return {
        "versions": versions(),
        "source": source_digest(),
        "processor": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "threads": torch.get_num_threads(),
    }


def describe_devices(training: TrainingConfig) -> dict[str, str]:
    """Device, number of processes, threads per process and precision, as text."""
    cores = os.cpu_count() or 1
    gpu = torch.cuda.get_device_name() if use_gpu(training) else None
    threads = training.threads or f"{max(1, cores // training.devices)} (cores / processes)"
    return {
        "device": gpu or f"CPU ({platform.machine()}, {cores} cores)",
        "processes": str(training.devices),
        "CPU threads of a process": str(threads),
        "precision": {"no": "float32", "bf16": "bfloat16 (autocast)"}[resolve_precision(training)],
    }
