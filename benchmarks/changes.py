"""Gain of single changes to the training step: python benchmarks/changes.py

Each row is one change, before and after it, in milliseconds; gain is before / after. kept says whether the
project does it so. The network is a backbone without a head, in training mode, on a fixed batch; both
versions take turns in one process. --compile adds torch.compile, which takes a minute or more to compile; its
time is not in the row.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from ema import EMA, ema_loop
from measuring import Rows, alternate, finish, parser, waiting_for
from torch import Tensor, nn

from samix.config.networks import BackboneConfig
from samix.config.training import TrainingConfig
from samix.nn import Backbone, build_backbone, ema_, frozen_copy
from samix.training.launch import resolve_precision

Work = Callable[[], None]


class Change(NamedTuple):
    """A change: the work before and after it, each with its description."""

    name: str
    before: tuple[str, Work]
    after: tuple[str, Work]
    kept: bool


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.precision = resolve_precision(TrainingConfig(precision=arguments.precision, work_dir="."))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bench = _Bench(arguments, device)
    rows = [_row(change, arguments.rounds, device) for change in bench.changes(arguments.compile)]
    stem = bench.stem
    note = f"{arguments.backbone} ({stem} stem), {arguments.size} px, batch {arguments.batch}"
    finish(rows, arguments, f"{note}, precision {arguments.precision}, {device.type}")
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--backbone", default="resnet18", help="a convolutional network of timm")
    made.add_argument("--channels", type=int, nargs=4, help="widths of a ResNet's stages, for quick looks")
    made.add_argument("--size", type=int, default=96)
    made.add_argument("--batch", type=int, default=16)
    made.add_argument("--precision", default="auto", choices=["no", "bf16", "auto"])
    made.add_argument("--compile", action="store_true")
    return made


def _row(change: Change, rounds: int, device: torch.device) -> dict[str, Any]:
    work = {"before": change.before[1], "after": change.after[1]}
    seconds = alternate(work, rounds, waiting_for(device))
    return {
        "change": change.name,
        "before": change.before[0],
        "after": change.after[0],
        "before_ms": 1000 * seconds["before"],
        "after_ms": 1000 * seconds["after"],
        "gain": seconds["before"] / seconds["after"],
        "kept": "yes" if change.kept else "no",
    }


class _Bench:
    """A network, a batch, and the changes to be measured on them."""

    def __init__(self, arguments: argparse.Namespace, device: torch.device) -> None:
        self.stem = "cifar" if arguments.size <= 64 else "imagenet"
        channels = tuple(arguments.channels) if arguments.channels else None
        config = BackboneConfig(name=arguments.backbone, stem=self.stem, channels=channels)
        torch.manual_seed(0)
        self.backbone: Backbone = build_backbone(config).to(device).train()
        self.slow = frozen_copy(self.backbone)
        self.images = torch.randn(arguments.batch, 3, arguments.size, arguments.size, device=device)
        self.device = device
        self.bf16 = arguments.precision == "bf16"

    def changes(self, with_compile: bool) -> Iterator[Change]:
        """All of them."""
        yield from self._updates()
        index = torch.randperm(len(self.images), device=self.device)
        yield Change(
            "partners of a batch",
            ("x[index]", lambda: _ignore(self.images[index])),
            ("x.index_select", lambda: _ignore(self.images.index_select(0, index))),
            kept=True,
        )
        whole = lambda: self._forward(self.slow, self.images)  # noqa: E731 - it stands in two rows

        def twice() -> None:
            whole()
            whole()

        yield Change(
            "maps for a frozen Mixer",
            ("the whole network", whole),
            ("up to the tap", lambda: self._tap(self.images)),
            kept=True,
        )
        both = torch.cat([self.images, self.images])
        yield Change(
            "two views through the momentum network",
            ("one after the other", twice),
            ("as one batch", lambda: self._forward(self.slow, both)),
            kept=True,
        )
        yield from self._passes(with_compile)

    def _updates(self) -> Iterator[Change]:
        """Optimisers and the momentum network."""
        for name, make, kept in (("SGD", _sgd, False), ("AdamW", torch.optim.AdamW, True)):
            loop = ("one tensor at a time", self._update(make, fused=False, foreach=False))
            foreach, fused = self._update(make, foreach=True), self._update(make, fused=True)
            yield Change(f"update by {name}", loop, ("torch's foreach", foreach), kept=False)
            yield Change(f"update by {name}", loop, ("torch's fused", fused), kept=kept)
        yield Change(
            "update of the momentum network",
            ("one tensor at a time", lambda: ema_loop(self.slow, self.backbone)),
            ("one foreach call", lambda: ema_(self.slow, self.backbone, EMA)),
            kept=True,
        )

    def _passes(self, with_compile: bool) -> Iterator[Change]:
        """Forward and backward pass of the whole network."""
        step = lambda: self._step(self.backbone, bf16=self.bf16)  # noqa: E731 - it stands in several rows
        contiguous = copy.deepcopy(self.backbone)
        contiguous._layout = torch.contiguous_format
        contiguous.to(memory_format=torch.contiguous_format)
        before = lambda: self._step(contiguous, bf16=self.bf16)  # noqa: E731
        yield Change("layout, forward and backward", ("NCHW", before), ("channels_last", step), kept=True)
        if self.bf16:
            full = lambda: self._step(self.backbone, bf16=False)  # noqa: E731
            yield Change("precision, forward and backward", ("float32", full), ("bf16", step), kept=True)
        if with_compile:
            compiled = copy.deepcopy(self.backbone)
            compiled.compile()
            after = lambda: self._step(compiled, bf16=self.bf16)  # noqa: E731
            yield Change("forward and backward", ("eager", step), ("torch.compile", after), kept=False)

    def _update(self, make: Callable[..., torch.optim.Optimizer], **options: bool) -> Work:
        network = copy.deepcopy(self.backbone)
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, 1e-6)
        return make(network.parameters(), lr=1e-6, **options).step  # type: ignore[return-value]

    @torch.no_grad()
    def _forward(self, network: Backbone, images: Tensor) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            network(images)

    @torch.no_grad()
    def _tap(self, images: Tensor) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            self.slow.tap_map(images)

    def _step(self, network: Backbone, *, bf16: bool) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            loss = network(self.images).pooled.float().square().mean()
        loss.backward()
        network.zero_grad(set_to_none=True)


def _sgd(parameters: Iterator[nn.Parameter], lr: float, **options: bool) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=1e-4, **options)


def _ignore(result: Tensor) -> None:
    del result


if __name__ == "__main__":
    main()
