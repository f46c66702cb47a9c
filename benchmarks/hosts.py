"""The methods that benchmarks/step.py measures, with fixed batches and the steps of `fit`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from samix.config.data import AugmentConfig, SupervisedAugmentConfig
from samix.config.mixing import MaskAdjustConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig
from samix.config.ssl import MoCoConfig
from samix.config.supervised import SupervisedConfig, SupervisedMixerConfig
from samix.config.training import TrainingConfig
from samix.core.learner import Learner
from samix.core.step import StepContext
from samix.data import (
    Augment,
    Labelled,
    LabelledBatches,
    MemoryStore,
    Normalize,
    SupervisedAugment,
    TwoViewBatches,
    TwoViews,
)
from samix.methods import MoCo, SelfSupervised
from samix.methods.labels import FixedLabels
from samix.methods.mixer_training import ClusterMixerTraining, MixerTraining
from samix.methods.supervised import Supervised, head_names
from samix.mixup import Mixer, Mixup, Policy, SAMix, SAMixP
from samix.nn import Backbone, Classifier, Encoder, build_backbone
from samix.training import Job
from samix.training.fit import _Run  # the very step of `fit`, one at a time

SUPERVISED = ("vanilla", "mixup", "samix", "samix_p")
MOCO = ("MoCo", "MoCo+mixup", "SAMix-I", "SAMix-C", "SAMix-P")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
STEPS_PER_EPOCH = 1000


@dataclass(frozen=True)
class Setup:
    """Network, sizes and device of a benchmark; images in the memory of the data set."""

    backbone: BackboneConfig
    size: int
    batch: int
    device: torch.device
    classes: int = 100
    clusters: int = 200
    queue: int = 16384
    augment: bool = False

    @property
    def images(self) -> int:
        """Images of the data set: the queue must not be longer."""
        return max(self.queue, self.batch * 2)

    def network(self) -> Backbone:
        """The backbone with random weights."""
        return build_backbone(self.backbone)


def host(name: str, setup: Setup) -> Learner:
    """The learner called `name`, one of SUPERVISED or MOCO, with the defaults of its recipe."""
    torch.manual_seed(0)
    return _supervised(name, setup) if name in SUPERVISED else _moco(name, setup)


def _supervised(name: str, setup: Setup) -> Supervised:
    config = SupervisedConfig(batch_size=setup.batch, plain_weight=0.0 if name == "samix_p" else None)
    backbone, policy, training = setup.network(), None, None
    if name == "samix":
        options = SupervisedMixerConfig()
        training = MixerTraining(Mixer(backbone.tap_channels, options.mixer), options)
        policy = SAMix(training.mixer, options.mask_adjust)
    elif name != "vanilla":
        policy = _frozen(setup) if name == "samix_p" else Mixup()
    classifier = Classifier(backbone, setup.classes, head_names(config, policy), shared=False)
    return Supervised(classifier, config, policy=policy, alpha=2.0, mixer_training=training)


def _moco(name: str, setup: Setup) -> SelfSupervised:
    config = MoCoConfig(batch_size=setup.batch, queue=setup.queue)
    encoder = Encoder(setup.network(), config.projector)
    training: MixerTraining | None = None
    labels: FixedLabels | None = None
    policy: Policy | None = {"MoCo+mixup": Mixup}.get(name, lambda: None)()
    if name in ("SAMix-I", "SAMix-C"):
        kind = "instance" if name == "SAMix-I" else "cluster"
        options = SSLMixerTrainingConfig(objective=kind)
        mixer = Mixer(encoder.backbone.tap_channels, options.mixer)
        policy = SAMix(mixer, options.mask_adjust)
        training = MixerTraining(mixer, options)
        if kind == "cluster":
            labels = FixedLabels(torch.arange(setup.images) % setup.clusters, setup.clusters)
            training = ClusterMixerTraining(mixer, options, encoder.backbone.width, setup.clusters)
    elif name == "SAMix-P":
        policy = _frozen(setup)
    method = MoCo(encoder, config, seed=0)
    return SelfSupervised(method, policy=policy, mixer_training=training, labels=labels)


def _frozen(setup: Setup) -> SAMixP:
    backbone = setup.network()
    mixer = Mixer(backbone.tap_channels, SupervisedMixerConfig().mixer)
    return SAMixP(backbone, mixer, MaskAdjustConfig(), trained_on=(MEAN, STD))


class FixedBatches:
    """The same batch at every step: data costs nothing."""

    steps_per_epoch = STEPS_PER_EPOCH

    def __init__(self, batch: Labelled | TwoViews) -> None:
        self.batch = batch
        self.batch_size = len(batch.labels)

    def load(self, ctx: StepContext) -> Labelled | TwoViews:  # noqa: ARG002
        """See `samix.training.fit.Batches`."""
        return self.batch


Loader = FixedBatches | LabelledBatches | TwoViewBatches


def batches(name: str, setup: Setup) -> Loader:
    """Batches for `name`: fixed ones, or augmented out of a data set in the device's memory."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(setup.classes, (setup.images,), generator=generator)
    two_views = name in MOCO
    if not setup.augment:
        shape = (2, setup.batch, 3, setup.size, setup.size)
        views = torch.randn(shape, generator=generator).to(setup.device)
        index = torch.randperm(setup.images, generator=generator)[: setup.batch].to(setup.device)
        of_batch = labels[: setup.batch].to(setup.device)
        return FixedBatches(
            TwoViews(views[0], views[1], index, of_batch)
            if two_views
            else Labelled(views[0], of_batch, index)
        )
    pixels = torch.randint(0, 256, (setup.images, 3, setup.size, setup.size), dtype=torch.uint8)
    store = MemoryStore(pixels, labels).to(setup.device)
    if two_views:
        return TwoViewBatches(store, Augment(AugmentConfig(), setup.size, MEAN, STD), setup.batch, 0)
    augment = SupervisedAugment(SupervisedAugmentConfig(), setup.size, Normalize(MEAN, STD))
    return LabelledBatches(store, augment, setup.batch, 0)


class Steps:
    """Steps of `fit` with a learner, without its checkpoints."""

    def __init__(self, learner: Learner, loader: Loader, accelerator: Accelerator) -> None:
        self._folder = tempfile.TemporaryDirectory()
        training = TrainingConfig(work_dir=Path(self._folder.name), log_every=STEPS_PER_EPOCH)
        job = Job(label="step", seed=0, training=training)
        self._run = _Run(learner, loader, 100, job, accelerator, "fit")

    def __call__(self, steps: int) -> None:
        """Take steps; metrics stay on the device, as between two logged steps."""
        for _ in range(steps):
            self._run.train_step()
        self._run.pending.clear()

    def load(self) -> Tensor | Labelled | TwoViews:
        """The batch of the next step."""
        return self._run.batches.load(self._run.context(self._run.step))
