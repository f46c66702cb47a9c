"""Job of the stage pseudo_labels: an encoder, k-means on its features, then online deep clustering."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from samix.clustering import metrics
from samix.clustering.memory import ODCMemory
from samix.config.ssl import ModelConfig
from samix.config.stages import PseudoLabelsConfig
from samix.core.learner import Learner
from samix.core.random import Stream
from samix.core.step import StepContext
from samix.data import (
    Augment,
    Images,
    ImageStore,
    LabelledBatches,
    Normalize,
    TwoViewBatches,
)
from samix.evaluation.features import extract_features
from samix.jobs.build import BACKBONE, PROJECTOR, prefixed, seeded, start_encoder
from samix.jobs.checks import check_pseudo_labels
from samix.jobs.self_supervised import about_backbone
from samix.methods import METHODS, SelfSupervised
from samix.methods.odc import ODCLearner
from samix.nn import Encoder
from samix.training import Job, fit, has_checkpoint


@dataclass(frozen=True, kw_only=True)
class PseudoLabelsJob(Job):
    """model: network, and the method of init: moco."""

    images: Images
    model: ModelConfig
    config: PseudoLabelsConfig

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """The class of the method that the encoder starts with."""
        return [METHODS[self.model.method.name]] if self.config.init == "moco" else []

    @property
    def files(self) -> Iterable[Path]:
        """Pretrained weights of the backbone."""
        return self.model.backbone.files


def make_pseudo_labels(job: PseudoLabelsJob, accelerator: Accelerator) -> None:
    """Cluster the training images; the result holds the encoder, labels (M,) and centroids (C, d)."""
    images = job.images.count(job.images.pretraining)
    check_pseudo_labels(job.config, images)
    if job.config.init == "moco":
        METHODS[job.model.method.name].check(job.model.method_config, images)
    store = job.images.open(job.images.pretraining).to(accelerator.device)
    augment = Augment.for_data(job.model.method_config.augment, job.images.card)
    encoder = _starting_encoder(job, store, augment, accelerator)
    learner = _learner(job, encoder, store, accelerator)
    batches = LabelledBatches(store, augment, job.config.batch_size, job.seed)

    def scores(current: Learner, ctx: StepContext) -> dict[str, float]:  # noqa: ARG001
        # images of an unlabelled split have nothing to agree with
        labelled = bool((store.labels >= 0).all())
        return agreement(learner.memory.labels, store.labels) if labelled else {}

    history = fit(
        learner,
        batches,
        epochs=job.config.epochs,
        job=job,
        accelerator=accelerator,
        name="odc",
        on_epoch_end=scores,
    )
    if accelerator.is_main_process:
        memory = learner.memory
        tensors = (
            prefixed(encoder.backbone, BACKBONE)
            | prefixed(encoder.projector, PROJECTOR)
            | {"labels": memory.labels, "centroids": memory.centroids}
        )
        job.finish(tensors, about_backbone(job.model.backbone, history, job.images.card))


def agreement(pseudo_labels: Tensor, labels: Tensor) -> dict[str, float]:
    """NMI, ARI and purity of pseudo labels (M,) against labels (M,)."""
    return {
        "nmi": metrics.nmi(pseudo_labels, labels),
        "ari": metrics.ari(pseudo_labels, labels),
        "purity": metrics.purity(pseudo_labels, labels),
    }


def _starting_encoder(
    job: PseudoLabelsJob, store: ImageStore, augment: Augment, accelerator: Accelerator
) -> Encoder:
    encoder = start_encoder(job.model, job.seed)
    if job.config.init == "moco" and not has_checkpoint(job, "odc"):
        learner = SelfSupervised(METHODS[job.model.method.name](encoder, job.model.method_config, job.seed))
        batches = TwoViewBatches(store, augment, job.model.method_config.batch_size, job.seed)
        fit(
            learner,
            batches,
            epochs=job.config.init_epochs,
            job=job,
            accelerator=accelerator,
            name="init",
        )
    return encoder.to(accelerator.device)


def _learner(
    job: PseudoLabelsJob, encoder: Encoder, store: ImageStore, accelerator: Accelerator
) -> ODCLearner:
    memory = ODCMemory(len(store), job.model.method_config.projector.out, job.config.clustering).to(
        accelerator.device
    )
    if not has_checkpoint(job, "odc"):  # a restored memory must not see k-means again
        normalize = Normalize.for_data(job.images.card)
        features = extract_features(
            encoder,
            lambda images: encoder.projector(encoder.backbone(images).pooled),
            store,
            normalize,
            job.config.batch_size,
        )
        memory.initialise(features, job.seed)
    return seeded(
        lambda: ODCLearner(encoder.backbone, encoder.projector, memory, job.config.optimizer),
        job.seed,
        Stream.ODC_HEAD,
    )
