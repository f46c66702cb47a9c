"""How every stage trains: optimiser, schedule, devices, checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from samix.config.base import Config


class OptimizerConfig(Config):
    """One optimiser and its learning-rate schedule; names and meaning are timm's, but for `nesterov`."""

    name: str = Field("sgd", description="timm's name: sgd, adamw, lamb, lars, ...; see nesterov for sgd")
    lr: float = Field(0.03, gt=0, description="initial learning rate for the given batch size; not rescaled")
    min_lr: float = Field(0.0, ge=0, description="learning rate at the end of a cosine schedule")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD and its relatives")
    nesterov: bool = Field(
        False, description="sgd: Nesterov's momentum; other names have it or not, as timm defines them"
    )
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

    @property
    def kind(self) -> str:
        """The name in small letters, without timm's prefix `lookahead_`."""
        return _kind(self.name)

    @field_validator("name")
    @classmethod
    def _sgd_has_one_name(cls, name: str) -> str:
        if _kind(name) in ("momentum", "nesterov"):
            nesterov = str(_kind(name) == "nesterov").lower()
            raise ValueError(f"SGD is called sgd: set name: sgd and nesterov: {nesterov}")
        return name

    @field_validator("nesterov")
    @classmethod
    def _nesterov_is_sgds(cls, nesterov: bool, info: ValidationInfo) -> bool:
        name, momentum = info.data.get("name", "sgd"), info.data.get("momentum", 0.9)
        if nesterov and _kind(name) != "sgd":
            raise ValueError(f"it is an option of sgd, and name is {name}: set nesterov: false or name: sgd")
        if nesterov and momentum == 0:
            raise ValueError("Nesterov's momentum needs momentum above 0: set it, or nesterov: false")
        return nesterov


def _kind(name: str) -> str:
    return name.lower().split("_")[-1]


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
