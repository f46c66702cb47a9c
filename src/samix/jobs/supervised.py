"""Jobs that train under labels: the Mixer's pre-training and the supervised training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from samix.config.adautomix import AdAutoMixConfig
from samix.config.mixing import MixerTrainingConfig, PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.supervised import SupervisedConfig
from samix.core.learner import Learner
from samix.core.random import Stream
from samix.core.step import StepContext
from samix.core.weights import WeightsFile
from samix.data import Images, ImageStore, LabelledBatches, Normalize, SupervisedAugment, iterate
from samix.evaluation.classification import accuracies, summarise
from samix.jobs.build import (
    BACKBONE,
    make_policy,
    policy_classes,
    policy_files,
    prefixed,
    seeded,
    start_backbone,
)
from samix.jobs.checks import check_supervised
from samix.jobs.self_supervised import about_backbone
from samix.methods.adversarial import AdversarialTraining
from samix.methods.mixer_training import MixerTraining
from samix.methods.supervised import Supervised, head_names
from samix.mixup import AdAutoMix, Mixer, Policy
from samix.mixup.policies.adautomix import AdversarialMixer
from samix.mixup.policies.samix_p import pretrained_mixer_metadata, pretrained_mixer_tensors
from samix.nn import Backbone, Classifier
from samix.training import Job, fit

EVALUATION_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class SupervisedJob(Job):
    """Supervised training with a policy.

    mixer: how a Mixer is trained along (samix, automix, adautomix); pretrained_mixer: the frozen one of
    policy samix_p.
    """

    images: Images
    backbone: BackboneConfig
    supervised: SupervisedConfig
    epochs: int
    policy: PolicyConfig
    mixer: MixerTrainingConfig | None = None
    pretrained_mixer: WeightsFile | None = None

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """The policy's class."""
        return policy_classes(self.policy)

    @property
    def files(self) -> Iterable[Path]:
        """Pretrained weights of the backbone, and files that options of the policy name."""
        return [*self.backbone.files, *policy_files(self.policy)]

    @property
    def skips_parameters(self) -> bool:
        """Whether there are steps in which the Mixer has no gradient."""
        return self.mixer is not None and self.mixer.rests


def pretrain_mixer(job: SupervisedJob, accelerator: Accelerator) -> None:
    """Train SAMix online; the result is the pretrained Mixer, with the momentum network's backbone."""
    learner, history = _train(job, accelerator)
    network, training = learner.momentum_classifier, learner.mixer_training
    if not accelerator.is_main_process or job.mixer is None or network is None or training is None:
        return
    about = pretrained_mixer_metadata(
        job.backbone, job.mixer.mixer, job.mixer.mask_adjust, job.images.statistics
    )
    job.finish(pretrained_mixer_tensors(network.backbone, training.mixer), {**about, "history": history})


def train_classifier(job: SupervisedJob, accelerator: Accelerator) -> None:
    """Train backbone and heads; the result is the network, with all figures in the metadata."""
    learner, history = _train(job, accelerator)
    if accelerator.is_main_process:
        keys = [key for key in history[-1] if key.startswith("val_")]
        figures = {key: summarise([row[key] for row in history if key in row]) for key in keys}
        tensors = prefixed(learner.classifier.backbone, BACKBONE) | prefixed(
            learner.classifier.heads, "heads."
        )
        about = about_backbone(job.backbone, history, job.images.card)
        job.finish(tensors, {**about, "figures": figures, "headline": headline(keys)})


def headline(keys: list[str]) -> str:
    """The accuracy that counts: momentum network before the online one, mixed head before the plain one."""
    order = [f"val_top1_{head}_{net}" for net in ("k", "q") for head in ("mixed", "plain")]
    return next(key for key in order if key in keys)


def build_supervised(job: SupervisedJob) -> Supervised:
    """The learner of a job, with the run's initial weights."""
    backbone = start_backbone(job.backbone, job.seed)
    policy, training = _policy_and_training(job, backbone)
    names, shared = head_names(job.supervised, policy), job.supervised.heads == "shared"
    classifier = seeded(
        lambda: Classifier(backbone, len(job.images.card["classes"]), names, shared=shared),
        job.seed,
        Stream.HEADS,
    )
    return Supervised(
        classifier,
        job.supervised,
        policy=policy,
        alpha=job.policy.alpha,
        lam_per_sample=job.policy.lam == "sample",
        mixer_training=training,
    )


def _policy_and_training(
    job: SupervisedJob, backbone: Backbone
) -> tuple[Policy | None, MixerTraining | None]:
    """The policy, and how its Mixer is trained along."""
    config, channels = job.mixer, backbone.tap_channels
    if config is not None and job.policy.name == "adautomix":
        std = config.mixer.init_std
        network = seeded(lambda: AdversarialMixer(channels, std), job.seed, Stream.MIXER)
        policy = AdAutoMix(network, AdAutoMixConfig.model_validate(job.policy.options))
        return policy, AdversarialTraining(policy, config)
    training = None
    if config is not None:
        mixer = seeded(lambda: Mixer(channels, config.mixer), job.seed, Stream.MIXER)
        training = MixerTraining(mixer, config)
    statistics = job.images.statistics
    return make_policy(
        job.policy, mixer=training, pretrained_mixer=job.pretrained_mixer, images_use=statistics
    ), training


def _train(job: SupervisedJob, accelerator: Accelerator) -> tuple[Supervised, list[dict[str, float]]]:
    check_supervised(job.supervised, job.images.count("train"))
    stores = {split: job.images.open(split) for split in ("train", "test")}
    stores = {split: store.to(accelerator.device) for split, store in stores.items()}
    learner = build_supervised(job)
    augment = SupervisedAugment.for_data(job.supervised.augment, job.images.card)
    batches = LabelledBatches(stores["train"], augment, job.supervised.batch_size, job.seed)
    validate = validation(learner, stores["test"], Normalize.for_data(job.images.card))
    history = fit(
        learner, batches, epochs=job.epochs, job=job, accelerator=accelerator, on_epoch_end=validate
    )
    return learner, history


def validation(
    learner: Supervised, store: ImageStore, normalize: Normalize
) -> Callable[[Learner, StepContext], dict[str, float]]:
    """Accuracies (%) of every head of the online (q) and the momentum network (k): val_top1_mixed_k, ..."""
    unmixed = learner.policy.unmixed if learner.policy is not None else (lambda images: images)
    networks = {"q": learner.classifier, "k": learner.momentum_classifier}

    def validate(current: Learner, ctx: StepContext) -> dict[str, float]:  # noqa: ARG001
        scores: dict[str, float] = {}
        for name, network in networks.items():
            if network is not None:
                scores |= _scores(network, name, store, lambda x: unmixed(normalize(x)))
        return scores

    return validate


@torch.no_grad()
def _scores(
    network: Classifier, name: str, store: ImageStore, transform: Callable[[Tensor], Tensor]
) -> dict[str, float]:
    logits: dict[str, list[Tensor]] = {head: [] for head in network.names}
    for images in iterate(store, transform, EVALUATION_BATCH):
        features = network(images)
        for head in network.names:
            logits[head].append(network.logits(features, head))
    found: dict[str, float] = {}
    for head, parts in logits.items():
        scores = accuracies(torch.cat(parts), store.labels)
        found |= {f"val_{key}_{head}_{name}": value for key, value in scores.items()}
    return found
