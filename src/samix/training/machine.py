"""What a training runs on, and what it needs of it."""

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
    """Let the peaks that `fit` reports, the GPU's and this process's, start anew.

    Linux alone lets a process forget its peak; elsewhere it includes what was trained before.
    """
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def made_with() -> dict[str, Any]:
    """The record that a result carries of what it was made with; nothing recognises a result by it."""
    return {
        "versions": versions(),
        "source": source_digest(),
        "processor": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "threads": torch.get_num_threads(),
    }


def describe_devices(training: TrainingConfig) -> dict[str, str]:
    """Device, processes, threads of each and precision, in words."""
    cores = os.cpu_count() or 1
    gpu = torch.cuda.get_device_name() if use_gpu(training) else None
    threads = training.threads or f"{max(1, cores // training.devices)} (cores / processes)"
    return {
        "device": gpu or f"CPU ({platform.machine()}, {cores} cores)",
        "processes": str(training.devices),
        "CPU threads of a process": str(threads),
        "precision": {"no": "float32", "bf16": "bfloat16 (autocast)"}[resolve_precision(training)],
    }
