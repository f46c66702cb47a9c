"""Masks that the Mixer learns from three objectives: python benchmarks/masks.py docs/masks_cifar100.png

Trains a Mixer with its encoder on a stratified part of CIFAR-100 under labels (pBCE + eta * CE), by instances
(BCE + eta * infoNCE), and by BCE alone (eta = 0), which the paper shows to end in trivial masks; draws the
masks of the same pairs of test images. CIFAR-100 is read from SAMIX_DATA_ROOT or data/01_raw; finished
trainings are reused.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from samix.analysis.masks import pairs_of_classes
from samix.config.data import AugmentConfig, DataConfig
from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.config.ssl import MoCoConfig, ModelConfig
from samix.config.supervised import EMAConfig, SupervisedConfig, SupervisedMixerConfig
from samix.config.training import OptimizerConfig, TrainingConfig
from samix.core.weights import WeightsFile
from samix.data import Images, Normalize, Prepared, open_images, prepare
from samix.jobs import self_supervised, supervised
from samix.mixup import SAMixP
from samix.training import run_job

LAMS = (0.25, 0.5, 0.75)
BACKBONE = BackboneConfig(channels=(16, 32, 64, 128))
MIXER: dict[str, Any] = {
    "mixer": MixerConfig(init_std=0.3, rescale_k=0.25),
    "optimizer": OptimizerConfig(name="adamw", lr=0.01, decay_all=False),
}


def main() -> None:
    """Train what is not trained yet, then draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--limit", type=int, default=5000, help="training images")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    root = Path(os.environ.get("SAMIX_DATA_ROOT", "data/01_raw"))
    data = prepare(DataConfig(source="cifar100", root=root, limit=arguments.limit), seed=0)
    work = Path("data/06_models/jobs")
    training = TrainingConfig(precision="bf16", threads=arguments.threads, work_dir=work, log_every=50)
    mixers = {
        "labels: pBCE + 0.5 CE": supervised_mixer(data, training, arguments.epochs),
        "instances: BCE + 0.5 infoNCE": instance_mixer(data, training, arguments.epochs, eta=0.5),
        "instances: BCE alone": instance_mixer(data, training, arguments.epochs, eta=0.0),
    }
    for name, pretrained_mixer in mixers.items():
        last = pretrained_mixer.metadata["history"][-1]
        print(f"{name}: mask variance {last['mask_variance']:.4f}, |mean - lam| {last['mask_error']:.3f}")
    draw(mixers, data).savefig(arguments.picture, dpi=110)


def supervised_mixer(data: Prepared, training: TrainingConfig, epochs: int) -> WeightsFile:
    """The Mixer trained under labels."""
    config = SupervisedConfig(
        optimizer=OptimizerConfig(lr=0.1, weight_decay=5e-4), ema=EMAConfig(start=0.99, end=None)
    )
    inputs = {"backbone": BACKBONE, "supervised": config, "mixer": SupervisedMixerConfig(**MIXER)}
    return run(supervised.pretrain_mixer, supervised.SupervisedJob, "labels", data, training, epochs, inputs)


def instance_mixer(data: Prepared, training: TrainingConfig, epochs: int, eta: float) -> WeightsFile:
    """The Mixer trained by instances, inside MoCo."""
    model = ModelConfig(
        backbone=BACKBONE,
        moco=MoCoConfig(
            batch_size=100,
            queue=1000,
            ema=0.99,
            projector=ProjectorConfig(hidden=256, out=64, norm=True),
            augment=AugmentConfig(),
            optimizer=OptimizerConfig(lr=0.06, weight_decay=5e-4),
        ),
    )
    mixer = SSLMixerTrainingConfig(objective="instance", eta=eta, **MIXER)
    inputs = {"model": model, "mixer": mixer}
    return run(
        self_supervised.pretrain_mixer,
        self_supervised.SelfSupervisedJob,
        f"instances eta {eta}",
        data,
        training,
        epochs,
        inputs,
    )


def run(
    worker: Any,
    kind: Any,
    label: str,
    data: Prepared,
    training: TrainingConfig,
    epochs: int,
    inputs: dict[str, Any],
) -> WeightsFile:
    """One training, under a label of its own."""
    job = kind(
        label=f"masks {label}",
        seed=0,
        training=training,
        images=Images(data.card, data.manifest),
        epochs=epochs,
        policy=PolicyConfig(name="samix", alpha=2.0),
        **inputs,
    )
    return run_job(worker, job)


def draw(mixers: dict[str, WeightsFile], data: Prepared) -> Figure:
    """x_i, x_j and the masks over lam, a row a pair and a block of columns a Mixer."""
    normalize = Normalize.for_data(data.card)
    first, second = pairs_of_classes(open_images(data.card, data.manifest, "test"), pairs=6)
    columns = 2 + len(mixers) * len(LAMS)
    figure = Figure(figsize=(1.05 * columns, 1.05 * len(first) + 0.9), layout="constrained")
    axes = figure.subplots(len(first), columns)
    for ax in axes.flat:
        ax.axis("off")
    for row, (x, y) in enumerate(zip(first, second, strict=True)):
        for ax, image, title in zip(axes[row], (x, y), ("$x_i$", "$x_j$"), strict=False):
            ax.imshow(image.permute(1, 2, 0).numpy())
            ax.set_title("" if row else title, fontsize=9)
    for block, (name, pretrained_mixer) in enumerate(mixers.items()):
        policy = SAMixP.from_file(pretrained_mixer.path)
        for place, lam in enumerate(LAMS):
            column = 2 + block * len(LAMS) + place
            masks = policy.inspect(normalize(first), normalize(second), lam).mask[:, 0].numpy()
            for row, mask in enumerate(np.asarray(masks)):
                axes[row, column].imshow(mask, cmap="viridis", vmin=0, vmax=1)
            over = f"{name}\n" if place == len(LAMS) // 2 else "\n"
            axes[0, column].set_title(f"{over}$\\lambda$ = {lam:g}", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
