"""Nodes whose outcome is a parameter: success, an error or a signal."""

import os
import signal
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field

from samix.config.base import Config
from samix.core.errors import TrainingError
from samix.core.weights import save_weights
from samix.kedro.tracking import stage_sink


class Source(Config):
    source: Literal["digits", "folder"] = "digits"
    shape: tuple[int, int] = (2, 3)


class Policy(Config):
    name: Literal["samix_p", "cutmix"] = "samix_p"


class Training(Config):
    epochs: int = Field(1, ge=1, le=9)
    policy: Policy = Policy()
    note: str = ""
    fate: Literal["good", "error", "bug", "SIGINT", "SIGTERM"] = "good"
    work_dir: Path


def prepare(source: Source, seed: int) -> tuple[dict, dict]:
    return {"checksum": f"{source.source}-{seed}"}, {
        "data.images": 3,
        "data.name": "x",
        "data.nan": float("nan"),
    }


def train(card: dict, training: Training):
    sink = stage_sink("ssl")
    for step in range(5):
        if sink:
            sink({"loss": 1.0 / (step + 1)}, step)
    if sink:
        sink.flush()
    if training.fate == "error":
        raise TrainingError("the loss is not finite at step 5")
    if training.fate == "bug":
        raise RuntimeError("a bug")
    if training.fate.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[training.fate])
    weights = save_weights(training.work_dir / "result.safetensors", {"w": torch.ones(2)}, {"epochs": 1})
    return weights, {"ssl.loss": 0.1, "ssl.top1": 0.9}


def report(run_info: dict, weights) -> str:
    return f"{run_info['seconds']} {weights.metadata}"
