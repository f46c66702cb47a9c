"""Jobs that train a self-supervised method: the Mixer's pre-training and the training itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import Accelerator

from samix.config.clustering import ClusteringConfig
from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig
from samix.config.ssl import ModelConfig
from samix.core.errors import ConfigError
from samix.core.learner import Learner
from samix.core.random import Stream, seed_for
from samix.core.step import StepContext
from samix.core.weights import WeightsFile
from samix.data import Augment, Images, ImageStore, Normalize, TwoViewBatches
from samix.jobs.build import (
    BACKBONE,
    make_policy,
    policy_classes,
    policy_files,
    prefixed,
    seeded,
    start_encoder,
)
from samix.jobs.labels import extract_keys, fixed_labels, online_labels, pseudo_label_tensor, uses_labels
from samix.methods import METHODS, SelfSupervised
from samix.methods.labels import LabelSource, OnlineLabels
from samix.methods.mixer_training import ClusterMixerTraining, MixerTraining
from samix.mixup import Mixer
from samix.mixup.policies.samix_p import pretrained_mixer_metadata, pretrained_mixer_tensors
from samix.nn import Encoder
from samix.training import Job, fit


@dataclass(frozen=True, kw_only=True)
class SelfSupervisedJob(Job):
    """The method of `model` with a policy.

    start: first weights of the encoder, None for random ones; mixer: how a Mixer is trained along (policy
    samix); pretrained_mixer: the frozen one of policy samix_p; pseudo_labels: one row per training image, in
    the manifest's order, if labels are used; clustering: how they follow the encoder.
    """

    images: Images
    model: ModelConfig
    epochs: int
    policy: PolicyConfig
    start: WeightsFile | None = None
    mixer: SSLMixerTrainingConfig | None = None
    pretrained_mixer: WeightsFile | None = None
    pseudo_labels: pd.DataFrame | None = None
    clustering: ClusteringConfig = ClusteringConfig()

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """The classes of the method and of the policy."""
        return {METHODS[self.model.method.name], *policy_classes(self.policy)}

    @property
    def files(self) -> Iterable[Path]:
        """Pretrained weights of the backbone, and files that options of the policy name."""
        return [*self.model.backbone.files, *policy_files(self.policy)]

    @property
    def skips_parameters(self) -> bool:
        """Whether there are steps in which the Mixer has no gradient."""
        return self.mixer is not None and self.mixer.rests

    def check(self) -> None:
        """Raise ConfigError or DataError if the parameters do not fit the data, before anything starts."""
        images = self.images.count(self.images.pretraining)
        METHODS[self.model.method.name].check(self.model.method_config, images)
        late = [e for e in (self.mixer.cluster.kmeans_epochs if self.mixer else ()) if e >= self.epochs]
        if late:
            raise ConfigError(
                f"mixer_pretraining.cluster.kmeans_epochs: no epoch {late[0]} in {self.epochs} epochs."
            )
        own = self.mixer is not None and self.mixer.cluster.labels == "true"
        if uses_labels(self.policy, self.mixer, self.pretrained_mixer) and not own:
            pseudo_label_tensor(self.pseudo_labels, images)


def pretrain_mixer(job: SelfSupervisedJob, accelerator: Accelerator) -> None:
    """Train SAMix online; the result is the pretrained Mixer, with the momentum encoder's backbone."""
    learner, history = _train(job, accelerator)
    if not accelerator.is_main_process or job.mixer is None or learner.mixer_training is None:
        return
    tensors = pretrained_mixer_tensors(learner.method.teacher.backbone, learner.mixer_training.mixer)
    about = pretrained_mixer_metadata(
        job.model.backbone, job.mixer.mixer, job.mixer.mask_adjust, job.images.statistics
    )
    job.finish(tensors, {**about, "history": history})


def train_encoder(job: SelfSupervisedJob, accelerator: Accelerator) -> None:
    """Train the encoder; the result is its backbone."""
    learner, history = _train(job, accelerator)
    if accelerator.is_main_process:
        job.finish(
            prefixed(learner.method.encoder.backbone, BACKBONE),
            about_backbone(job.model.backbone, history, job.images.card),
        )


def about_backbone(
    config: BackboneConfig, history: list[dict[str, float]], card: Mapping[str, Any]
) -> dict[str, Any]:
    """Metadata of a backbone's weights file; the card's mean and std are those of the images it knows."""
    return {
        "kind": "backbone",
        "backbone": config.model_dump(mode="json", exclude={"pretrained", "pretrained_file"}),
        "mean": list(card["mean"]),
        "std": list(card["std"]),
        "history": history,
    }


def _train(job: SelfSupervisedJob, accelerator: Accelerator) -> tuple[SelfSupervised, list[dict[str, float]]]:
    job.check()
    store = job.images.open(job.images.pretraining).to(accelerator.device)
    augment = Augment.for_data(job.model.method_config.augment, job.images.card)
    batches = TwoViewBatches(store, augment, job.model.method_config.batch_size, job.seed)
    learner = _learner(job, store, accelerator)
    renewed = job.mixer.cluster.kmeans_epochs if job.mixer else ()

    def before_epoch(current: Learner, ctx: StepContext) -> None:  # noqa: ARG001
        if ctx.epoch in renewed:
            _renew_clusters(job, learner, store, ctx)

    history = fit(
        learner,
        batches,
        epochs=job.epochs,
        job=job,
        accelerator=accelerator,
        before_epoch=before_epoch if renewed else None,
    )
    return learner, history


def _learner(job: SelfSupervisedJob, store: ImageStore, accelerator: Accelerator) -> SelfSupervised:
    encoder = start_encoder(job.model, job.seed, job.start)
    labels = None
    if uses_labels(job.policy, job.mixer, job.pretrained_mixer):
        labels = _labels(job, encoder.to(accelerator.device), store)
    training = _mixer_training(job, encoder, labels)
    policy = make_policy(
        job.policy, mixer=training, pretrained_mixer=job.pretrained_mixer, images_use=job.images.statistics
    )
    return SelfSupervised(
        METHODS[job.model.method.name](encoder, job.model.method_config, job.seed),
        policy=policy,
        alpha=job.policy.alpha,
        lam_per_sample=job.policy.lam == "sample",
        mixer_training=training,
        labels=labels,
    )


def _labels(job: SelfSupervisedJob, encoder: Encoder, store: ImageStore) -> LabelSource:
    if job.mixer is None or job.mixer.cluster.labels != "online":
        return fixed_labels(store, len(job.images.card["classes"]), job.pseudo_labels, job.clustering)
    normalize = Normalize.for_data(job.images.card)
    size = job.model.method_config.batch_size
    return online_labels(encoder, store, normalize, job.pseudo_labels, job.clustering, size)


def _renew_clusters(
    job: SelfSupervisedJob, learner: SelfSupervised, store: ImageStore, ctx: StepContext
) -> None:
    """New clusters by k-means on the present keys, and a head that forgets the old ones."""
    source, training = learner.labels, learner.mixer_training
    assert isinstance(source, OnlineLabels)  # the configuration has kmeans_epochs for these alone
    encoder, size = learner.method.teacher, job.model.method_config.batch_size
    keys = extract_keys(encoder, store, Normalize.for_data(job.images.card), size)
    source.memory.initialise(keys, seed_for(ctx.seed, Stream.RENEW, ctx.epoch))
    if isinstance(training, ClusterMixerTraining):
        seeded(training.reset_head, job.seed, f"{Stream.CLUSTER_HEAD}/{ctx.epoch}")


def _mixer_training(
    job: SelfSupervisedJob, encoder: Encoder, labels: LabelSource | None
) -> MixerTraining | None:
    config = job.mixer
    if config is None:
        return None
    mixer = seeded(lambda: Mixer(encoder.backbone.tap_channels, config.mixer), job.seed, Stream.MIXER)
    if config.objective == "instance":
        return MixerTraining(mixer, config)
    assert labels is not None  # objective cluster requires them
    pooled = config.cluster.features == "pooled"
    width = encoder.backbone.width if pooled else job.model.method_config.projector.out
    return seeded(
        lambda: ClusterMixerTraining(mixer, config, width, labels.classes), job.seed, Stream.CLUSTER_HEAD
    )
