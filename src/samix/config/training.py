"""How every stage trains: optimiser, schedule, devices, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from samix.config.base import Config


class OptimizerConfig(Config):
    """One optimiser and its learning-rate schedule; names and meaning are timm's."""

    name: str = Field(
        "momentum", description="timm's name: momentum (plain SGD), sgd (Nesterov's), adamw, lamb, lars, ..."
    )
    lr: float = Field(0.03, gt=0, description="initial learning rate for the given batch size; not rescaled")
    min_lr: float = Field(0.0, ge=0, description="learning rate at the end of a cosine schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD and its relatives")
    weight_decay: float = Field(1e-4, ge=0)
    decay_all: bool = Field(
        True, description="decay biases and norms as well, as MoCo's and the SGD recipes do"
    )
    schedule: Literal["cosine", "multistep", "constant"] = "cosine"
    per_epoch: bool = Field(
        False, description="lr changes between epochs only, as the released SGD recipes do; else every step"
    )
    milestones: tuple[float, ...] = Field(
        (0.6, 0.8), description="multistep: shares of training at which lr drops x0.1"
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="share of training with linear warm-up")
    clip_grad: float | None = Field(
        None, gt=0, description="largest norm of the gradient of these parameters"
    )


class TrainingConfig(Config):
    """What all stages share: where and how `fit` runs."""

    devices: int = Field(
        1, ge=1, description="processes on this machine; more than 1 goes through torch elastic"
    )
    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="auto: a GPU if there is one")
    precision: Literal["no", "bf16", "auto"] = Field(
        "no",
        description="no: float32; bf16: autocast with fp32 islands; auto: bf16 where the device has units "
        "for it; the log says which",
    )
    threads: int | None = Field(None, ge=1, description="CPU threads of a process; default: cores / devices")
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")
    log_every: int = Field(10, ge=1, description="steps between metrics")
    work_dir: Path = Field(description="folder of checkpoints and results of training jobs")
