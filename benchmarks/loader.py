"""Whether file data are ready before the step needs them: python benchmarks/loader.py

JPEG files of Caltech-101's usual size (300 x 200) are written to a temporary folder, decoded, cut to squares
and augmented into two views while MoCo trains on them. Figures in images/s of the same batches:

* decode: reading alone, by the reader's threads
* augment: the two views alone, on the training device
* step: the training step alone, on a fixed batch
* one after the other: read, then augment, then step
* read ahead: the same as `fit` does it, with the next batches decoded while the step runs

The loader is ahead if decode and augment together are faster than the step. waiting_percent: share of a
whole step that is not the step alone; on a CPU, which does it all, nothing can hide it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hosts import MEAN, STD, FixedBatches, Setup, Steps, host
from measuring import Rows, alternate, finish, parser, waiting_for
from PIL import Image

from samix.config.data import AugmentConfig
from samix.config.networks import BackboneConfig
from samix.config.training import TrainingConfig
from samix.core.step import StepContext
from samix.data import Augment, ReadingStore, TwoViewBatches, TwoViews
from samix.data.readers import FileReader
from samix.training.launch import resolve_precision

SHAPES = ((200, 300), (300, 200), (300, 300))
"""Height and width of most pictures of Caltech-101: the longer side is about 300 pixels."""


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.precision = resolve_precision(TrainingConfig(precision=arguments.precision, work_dir="."))
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision=arguments.precision)
    channels = tuple(arguments.channels) if arguments.channels else None
    backbone = BackboneConfig(name=arguments.backbone, stem="imagenet", channels=channels)
    setup = Setup(backbone, arguments.size, arguments.batch, accelerator.device, queue=arguments.batch * 4)
    with tempfile.TemporaryDirectory() as folder:
        reader = FileReader(write_pictures(Path(folder), arguments.images), arguments.size)
        rows = _rows(reader, setup, arguments, accelerator)
    note = (
        f"{arguments.backbone}, {arguments.size} px, batch {arguments.batch}, MoCo, {reader.threads} readers"
    )
    finish(rows, arguments, note)
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--backbone", default="resnet18")
    made.add_argument("--channels", type=int, nargs=4)
    made.add_argument("--size", type=int, default=96)
    made.add_argument("--batch", type=int, default=32)
    made.add_argument("--images", type=int, default=512, help="files")
    made.add_argument("--steps", type=int, default=4, help="steps of one measurement")
    made.add_argument("--precision", default="auto", choices=["no", "bf16", "auto"])
    return made


def write_pictures(folder: Path, count: int) -> list[Path]:
    """JPEG files with smooth content, as photographs have, so that they are of a usual length."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        height, width = SHAPES[number % len(SHAPES)]
        coarse = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        paths.append(folder / f"{number:05d}.jpg")
        picture.save(paths[-1], quality=90)
    return paths


def _rows(reader: FileReader, setup: Setup, arguments: argparse.Namespace, accelerator: Accelerator) -> Rows:
    augment = Augment(AugmentConfig(), setup.size, MEAN, STD)
    store = ReadingStore(reader, torch.zeros(len(reader), dtype=torch.long)).to(setup.device)
    ahead = TwoViewBatches(store, augment, setup.batch, 0)
    after = _OneAfterTheOther(store, augment, setup.batch, 0)
    ctx = StepContext(seed=0, step=0, total_steps=10**6, epoch=0, device=setup.device)
    batch = after.load(ctx)
    raw = store.fetch(after.positions(ctx)).to(setup.device)
    learner = {key: host("MoCo", setup) for key in ("step", "after", "ahead")}
    steps = {
        "step": Steps(learner["step"], FixedBatches(batch), accelerator),
        "after": Steps(learner["after"], after, accelerator),
        "ahead": Steps(learner["ahead"], ahead, accelerator),
    }
    work: dict[str, Callable[[], object]] = {
        "decode": lambda: reader.read(after.positions(ctx).numpy()),
        "augment": lambda: [augment(raw, ctx.generator(name)) for name in ("q", "k")],
        "step": lambda: steps["step"](1),
        "one after the other": lambda: steps["after"](1),
        "read ahead": lambda: steps["ahead"](1),
    }
    repeated = {name: _repeat(do, arguments.steps) for name, do in work.items()}
    seconds = alternate(repeated, arguments.rounds, waiting_for(setup.device))
    return [
        {
            "name": name,
            "images_per_s": arguments.steps * setup.batch / taken,
            "ratio_step": taken / seconds["step"],
            "waiting_percent": 100 * (1 - seconds["step"] / taken) if name in _WHOLE else None,
        }
        for name, taken in seconds.items()
    ]


_WHOLE = ("one after the other", "read ahead")


class _OneAfterTheOther(TwoViewBatches):
    """Batches that are decoded when the step needs them."""

    def load(self, ctx: StepContext) -> TwoViews:
        self._ahead = None
        return super().load(ctx)


def _repeat(do: Callable[[], object], times: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            do()

    return repeated


if __name__ == "__main__":
    main()
