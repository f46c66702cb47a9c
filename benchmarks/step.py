"""Cost of a training step compared with its network passes: python benchmarks/step.py --size 96 --batch 16

images_per_s of whole training steps as `fit` takes them, optimiser included, on fixed batches; three ratios:

* ratio_vanilla: time of the step / time of a supervised step without mixing (lower is better)
* ratio_bare: time of the step / time of the bare network passes it needs: the same forwards and backwards of
  the same networks in the same precision with the same optimiser, and nothing else (1 is the limit)
* ratio_naive: time of a naive eager float32 step, as the numbered list is written, / time of the step (higher
  is better)

The compared versions take turns in one process, so that a drift of the machine affects all alike. samix_p and
SAMix-P read their maps from a frozen network of the same kind as the trained one; samix_p trains on mixed
images alone. With --with-augment the batches come out of a data set in memory and are augmented, image by
image in the naive step; the bare passes stay bare.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from hosts import MOCO, SUPERVISED, FixedBatches, Loader, Setup, Steps, batches, host
from measuring import Rows, alternate, finish, parser, waiting_for
from naive_steps import NaiveSteps
from passes import BarePasses

from samix.config.networks import BackboneConfig
from samix.config.training import TrainingConfig
from samix.core.step import StepContext
from samix.data import Labelled, TwoViews
from samix.training.launch import resolve_precision


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    training = TrainingConfig(precision=arguments.precision, device=arguments.device, work_dir=".")
    arguments.precision = resolve_precision(training)
    AcceleratorState._reset_state(reset_partial_state=True)
    cpu = arguments.device == "cpu" or not torch.cuda.is_available()
    accelerator = Accelerator(cpu=cpu, mixed_precision=arguments.precision)
    setup = _setup(arguments, accelerator.device)
    rows = [_row(name, setup, arguments, accelerator) for name in arguments.methods]
    note = (
        f"{arguments.backbone} ({setup.backbone.stem} stem), {setup.size} px, batch {setup.batch}, precision "
        f"{arguments.precision}, {accelerator.device.type}"
    )
    finish(rows, arguments, note)
    if arguments.profile:
        print(_profile(arguments.profile, setup, accelerator))
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--backbone", default="resnet18", help="any timm name")
    made.add_argument("--channels", type=int, nargs=4, help="widths of a ResNet's stages, for quick looks")
    made.add_argument("--stem", choices=["cifar", "imagenet"], help="default: cifar up to 64 pixels")
    made.add_argument("--size", type=int, default=32)
    made.add_argument("--batch", type=int, default=100)
    made.add_argument("--queue", type=int, default=16384, help="rounded to a multiple of the batch")
    made.add_argument("--precision", default="no", choices=["no", "bf16", "auto"])
    made.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    made.add_argument("--steps", type=int, default=2, help="steps of one measurement")
    made.add_argument("--methods", nargs="+", default=[*SUPERVISED, *MOCO], choices=[*SUPERVISED, *MOCO])
    made.add_argument("--no-naive", action="store_true", help="leave ratio_naive out")
    made.add_argument("--with-augment", action="store_true", help="augmented batches instead of fixed ones")
    made.add_argument("--profile", choices=[*SUPERVISED, *MOCO], help="torch's profile of this method's step")
    return made


def _setup(arguments: argparse.Namespace, device: torch.device) -> Setup:
    stem = arguments.stem or ("cifar" if arguments.size <= 64 else "imagenet")
    channels = tuple(arguments.channels) if arguments.channels else None
    return Setup(
        BackboneConfig(name=arguments.backbone, stem=stem, channels=channels),
        arguments.size,
        arguments.batch,
        device,
        queue=max(1, arguments.queue // arguments.batch) * arguments.batch,
        augment=arguments.with_augment,
    )


def _row(name: str, setup: Setup, arguments: argparse.Namespace, accelerator: Accelerator) -> dict[str, Any]:
    """One method against vanilla, its bare passes and the naive step."""
    loader = batches(name, setup)
    method = Steps(host(name, setup), loader, accelerator)
    batch = method.load()
    vanilla = method
    if name != "vanilla":
        vanilla = Steps(host("vanilla", setup), batches("vanilla", setup), accelerator)
    work = {"method": method, "vanilla": vanilla, "bare": BarePasses(name, setup, batch[0], accelerator)}
    if not arguments.no_naive:
        work["naive"] = NaiveSteps(name, setup, _naive_load(name, setup, loader))
    if name == "vanilla":
        del work["vanilla"]
    timed = {key: _taking(do, arguments.steps) for key, do in work.items()}
    seconds = alternate(timed, arguments.rounds, waiting_for(setup.device))
    accelerator.free_memory()
    own = seconds["method"]
    return {
        "name": name,
        "images_per_s": arguments.steps * setup.batch / own,
        "ratio_vanilla": own / seconds.get("vanilla", own),
        "ratio_bare": own / seconds["bare"],
        "ratio_naive": seconds["naive"] / own if "naive" in seconds else None,
    }


def _taking(do: Callable[[int], None], steps: int) -> Callable[[], None]:
    return lambda: do(steps)


def _naive_load(name: str, setup: Setup, loader: Loader) -> Callable[[], Labelled | TwoViews]:
    """The fixed batch, or one whose images are augmented one by one."""
    ctx = StepContext(seed=0, step=0, total_steps=1, epoch=0, device=setup.device)
    if isinstance(loader, FixedBatches):
        return lambda: loader.load(ctx)
    transform = loader.augment if name in MOCO else loader.transform  # type: ignore[union-attr]
    generator = torch.Generator(setup.device).manual_seed(0)

    def view(images: torch.Tensor) -> torch.Tensor:
        return torch.cat([transform(image[None], generator) for image in images])

    def load() -> Labelled | TwoViews:
        raw = loader.read(ctx)
        if name in MOCO:
            return TwoViews(view(raw.images), view(raw.images), raw.index, raw.labels)
        return raw._replace(images=view(raw.images))

    return load


def _profile(name: str, setup: Setup, accelerator: Accelerator) -> str:
    """What torch's profiler says of some steps."""
    steps = Steps(host(name, setup), batches(name, setup), accelerator)
    steps(2)
    with torch.profiler.profile() as profile:
        steps(3)
        waiting_for(setup.device)()
    by = "self_cuda_time_total" if setup.device.type == "cuda" else "self_cpu_time_total"
    return str(profile.key_averages().table(sort_by=by, row_limit=20, max_name_column_width=50))


if __name__ == "__main__":
    main()
