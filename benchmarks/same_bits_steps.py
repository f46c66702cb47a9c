"""Four steps of each training, as `fit` takes them, and what is left; called by the two drivers."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from same_bits_list import Training, trainings

from samix.config.data import AugmentConfig, SupervisedAugmentConfig
from samix.config.training import TrainingConfig
from samix.data import Augment, LabelledBatches, MemoryStore, Normalize, SupervisedAugment, TwoViewBatches
from samix.training import Job
from samix.training.fit import _Run  # the very step of `fit`

STEPS, BATCH, CLASSES, CLUSTERS, SIZE = 4, 6, 3, 3, 32
IMAGES = STEPS * BATCH
LABELS = torch.arange(IMAGES) * 7 % CLUSTERS
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]


def run_all(
    learner_of: Callable[[Training], Any], parts: Callable[[Any], Mapping[str, torch.nn.Module]]
) -> None:
    """Run the trainings named on the command line, all without names, and save what they leave.

    The first argument is the file: for each training {"losses": (STEPS,), part and key of a state: tensor},
    or the error as text.
    """
    path, names = Path(sys.argv[1]), set(sys.argv[2:])
    torch.set_num_threads(1)
    found: dict[str, dict[str, torch.Tensor] | str] = {}
    for training in trainings():
        if not names or training.name in names:
            try:
                found[training.name] = _after_steps(training, learner_of, parts)
            except Exception as error:  # the others are still worth comparing
                found[training.name] = f"{type(error).__name__}: {error}"
    torch.save(found, path)


def _after_steps(
    training: Training,
    learner_of: Callable[[Training], Any],
    parts: Callable[[Any], Mapping[str, torch.nn.Module]],
) -> dict[str, torch.Tensor]:
    learner = learner_of(training)
    with tempfile.TemporaryDirectory() as folder:
        how = TrainingConfig(work_dir=Path(folder), device="cpu", precision="no")
        given = {"label": "same_bits", "fingerprint": "", "seed": 0, "training": how}
        names = {field.name for field in fields(Job)}  # earlier versions were given their fingerprint
        job = Job(**{name: value for name, value in given.items() if name in names})
        run = _Run(learner, _batches(training), 1, job, Accelerator(cpu=True), "fit")
        for _ in range(STEPS):
            run.train_step()
    found = {"losses": torch.stack([row["loss"] for row in run.pending])}
    for name, module in parts(learner).items():
        found |= {f"{name}.{key}": tensor.clone() for key, tensor in module.state_dict().items()}
    for name, optimizer in zip(run.sets, run.optimizers, strict=True):
        for place, state in optimizer.state_dict()["state"].items():
            kept = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
            found |= {f"optimizer {name}.{place}.{key}": value.clone() for key, value in kept.items()}
    return found


def _batches(training: Training) -> LabelledBatches | TwoViewBatches:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (IMAGES, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    store = MemoryStore(pixels, LABELS)
    if training.host == "ssl":
        return TwoViewBatches(store, Augment(AugmentConfig(), SIZE, MEAN, STD), BATCH, 0)
    augment = SupervisedAugment(SupervisedAugmentConfig(), SIZE, Normalize(MEAN, STD))
    return LabelledBatches(store, augment, BATCH, 0)
