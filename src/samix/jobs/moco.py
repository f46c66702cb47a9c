"""Jobs that train with MoCo v2: the Mixer's pre-training and the self-supervised training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator

from samix.clustering.reweight import class_weights
from samix.config.mixing import MixerTrainingConfig, PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.ssl import ModelConfig
from samix.core.errors import DataError
from samix.core.weights import WeightsFile
from samix.data import Augment, TwoViewBatches, open_images
from samix.jobs.build import BACKBONE, prefixed, seeded, start_encoder
from samix.learners.mixer_training import ClusterMixerTraining, InstanceMixerTraining, MixerTraining
from samix.learners.moco import MoCo, check_moco
from samix.mixup import POLICIES, Mixer, Policy, SAMix, SAMixP
from samix.mixup.mixer.bundle import bundle_metadata, bundle_tensors
from samix.training import Job, fit


@dataclass(frozen=True, kw_only=True)
class MoCoJob(Job):
    """MoCo v2 with a policy.

    card, manifest: the images; start: first weights of the encoder, None for random ones; mixer: how a Mixer
    is trained along (policy samix); bundle: the frozen Mixer (policy samix_p); pseudo_labels: one row a
    training image, in the manifest's order (objective cluster).
    """

    card: dict[str, Any]
    manifest: pd.DataFrame
    model: ModelConfig
    epochs: int
    policy: PolicyConfig
    start: WeightsFile | None = None
    mixer: MixerTrainingConfig | None = None
    bundle: WeightsFile | None = None
    pseudo_labels: pd.DataFrame | None = None

    def check(self) -> None:
        """Raise ConfigError or DataError where the parameters do not fit the data, before anything starts."""
        images = int((self.manifest["split"] == "train").sum())
        check_moco(self.model.moco, images)
        if self.pseudo_labels is not None and len(self.pseudo_labels) != images:
            raise DataError(
                f"there are {len(self.pseudo_labels)} pseudo labels for {images} training images: run the "
                "stage pseudo_labels again."
            )


def pretrain_mixer(job: MoCoJob, accelerator: Accelerator) -> None:
    """Train SAMix online; the result is the SAMix-P bundle: Mixer and the momentum encoder's backbone."""
    learner, history = _train(job, accelerator)
    if not accelerator.is_main_process or job.mixer is None or learner.mixer_training is None:
        return
    tensors = bundle_tensors(learner.momentum_encoder.backbone, learner.mixer_training.mixer)
    about = bundle_metadata(
        job.model.backbone, job.mixer.mixer, job.mixer.mask_adjust, (job.card["mean"], job.card["std"])
    )
    job.finish(tensors, {**about, "history": history})


def train_encoder(job: MoCoJob, accelerator: Accelerator) -> None:
    """Train the encoder; the result is its backbone."""
    learner, history = _train(job, accelerator)
    if accelerator.is_main_process:
        job.finish(prefixed(learner.encoder.backbone, BACKBONE), about_backbone(job.model.backbone, history))


def about_backbone(config: BackboneConfig, history: list[dict[str, float]]) -> dict[str, Any]:
    """Metadata of a backbone's weights file."""
    return {"kind": "backbone", "backbone": config.model_dump(mode="json"), "history": history}


def _train(job: MoCoJob, accelerator: Accelerator) -> tuple[MoCo, list[dict[str, float]]]:
    job.check()
    store = open_images(job.card, job.manifest, "train").to(accelerator.device)
    augment = Augment.for_data(job.model.moco.augment, job.card)
    batches = TwoViewBatches(store, augment, job.model.moco.batch_size, job.seed)
    learner = _learner(job)
    history = fit(learner, batches, epochs=job.epochs, job=job, accelerator=accelerator)
    return learner, history


def _learner(job: MoCoJob) -> MoCo:
    encoder = start_encoder(job.model, job.seed, job.start)
    training = _mixer_training(job, encoder.backbone.tap_channels, encoder.backbone.width)
    return MoCo(
        encoder,
        job.model.moco,
        seed=job.seed,
        policy=_policy(job, training),
        alpha=job.policy.alpha,
        mixer_training=training,
    )


def _policy(job: MoCoJob, training: MixerTraining | None) -> Policy | None:
    if job.policy.name == "none":
        return None
    if training is not None:
        return SAMix(training.mixer, training.config.mask_adjust)
    if job.bundle is not None:
        return SAMixP.from_file(job.bundle.path, images_use=(job.card["mean"], job.card["std"]))
    return POLICIES[job.policy.name]()


def _mixer_training(job: MoCoJob, channels: int, width: int) -> MixerTraining | None:
    config = job.mixer
    if config is None:
        return None
    mixer = seeded(lambda: Mixer(channels, config.mixer), job.seed, "mixer")
    if job.pseudo_labels is None:
        return InstanceMixerTraining(mixer, config)
    labels = torch.from_numpy(job.pseudo_labels["pseudo_label"].to_numpy(dtype="int64", copy=True))
    weights = class_weights(labels.bincount(), power=0.5, normalise="mean1")
    return seeded(
        lambda: ClusterMixerTraining(mixer, config, width, labels, weights), job.seed, "cluster_head"
    )
