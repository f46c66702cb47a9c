"""Cost of the moving average of the weights: python benchmarks/ema.py

Share of `ema_`, one foreach call, in a step of MoCo and of SAMix-I as `fit` takes them, next to the same
update in a Python loop over the parameters. The goal is a share of 5 % at most.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hosts import Setup, Steps, batches, host
from measuring import Rows, alternate, finish, parser, waiting_for
from torch import nn

from samix.config.networks import BackboneConfig
from samix.config.training import TrainingConfig
from samix.methods import EMAMethod, SelfSupervised
from samix.nn import ema_
from samix.training.launch import resolve_precision

METHODS = ("MoCo", "SAMix-I")
EMA = 0.999


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.precision = resolve_precision(TrainingConfig(precision=arguments.precision, work_dir="."))
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=arguments.precision)
    channels = tuple(arguments.channels) if arguments.channels else None
    stem = "cifar" if arguments.size <= 64 else "imagenet"
    backbone = BackboneConfig(name=arguments.backbone, stem=stem, channels=channels)
    setup = Setup(backbone, arguments.size, arguments.batch, accelerator.device, queue=arguments.batch * 4)
    rows = [_row(name, setup, arguments, accelerator) for name in METHODS]
    finish(rows, arguments, f"{arguments.backbone} ({stem} stem), precision {arguments.precision}")
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--backbone", default="resnet18")
    made.add_argument("--channels", type=int, nargs=4)
    made.add_argument("--size", type=int, default=96)
    made.add_argument("--batch", type=int, default=16)
    made.add_argument("--precision", default="auto", choices=["no", "bf16", "auto"])
    return made


def _row(name: str, setup: Setup, arguments: argparse.Namespace, accelerator: Accelerator) -> dict[str, Any]:
    learner = host(name, setup)
    assert isinstance(learner, SelfSupervised) and isinstance(learner.method, EMAMethod)
    steps = Steps(learner, batches(name, setup), accelerator)
    slow, fast = learner.method.momentum_encoder, learner.method.encoder
    seconds = alternate(
        {
            "step": lambda: steps(1),
            "foreach": lambda: ema_(slow, fast, EMA),
            "loop": lambda: ema_loop(slow, fast),
        },
        arguments.rounds,
        waiting_for(setup.device),
    )
    return {
        "name": name,
        "step_ms": 1000 * seconds["step"],
        "ema_ms": 1000 * seconds["foreach"],
        "ema_percent": 100 * seconds["foreach"] / seconds["step"],
        "loop_ms": 1000 * seconds["loop"],
        "loop_percent": 100 * seconds["loop"] / seconds["step"],
    }


@torch.no_grad()
def ema_loop(slow: nn.Module, fast: nn.Module) -> None:
    """The update, one parameter after the other."""
    for own, other in zip(slow.parameters(), fast.parameters(), strict=True):
        own.copy_(EMA * own + (1 - EMA) * other)


if __name__ == "__main__":
    main()
