"""Job of the stage linear_evaluation: linear classifier and kNN on one backbone's frozen features."""

from __future__ import annotations

from dataclasses import dataclass

from accelerate import Accelerator
from torch import Tensor

from samix.config.data import AugmentConfig
from samix.config.networks import BackboneConfig
from samix.config.stages import LinearEvaluationConfig
from samix.core.step import StepContext
from samix.core.weights import WeightsFile
from samix.data import CropFlip, Images, ImageStore, LabelledBatches, MemoryStore, Normalize
from samix.evaluation.classification import accuracies, confusion, summarise
from samix.evaluation.features import extract_features
from samix.evaluation.knn import knn_predict
from samix.jobs.build import prefixed, seeded, start_backbone
from samix.jobs.checks import check_linear
from samix.learners.base import Learner
from samix.learners.linear import LinearProbe
from samix.nn import Backbone
from samix.training import Batches, Job, fit


@dataclass(frozen=True, kw_only=True)
class LinearJob(Job):
    """weights: of the backbone, None for the untrained one."""

    images: Images
    backbone: BackboneConfig
    weights: WeightsFile | None
    config: LinearEvaluationConfig


def evaluate_linear(job: LinearJob, accelerator: Accelerator) -> None:
    """Train the classifier; the result is the classifier, with all figures in the metadata."""
    check_linear(job.config, job.images.count("train"))
    stores = {split: job.images.open(split) for split in ("train", "test")}
    stores = {split: store.to(accelerator.device) for split, store in stores.items()}
    backbone = start_backbone(job.backbone, job.seed, job.weights).to(accelerator.device)
    features = {split: _features(job, backbone, store) for split, store in stores.items()}
    labels = {split: store.labels.to(accelerator.device) for split, store in stores.items()}
    classes = len(job.images.card["classes"])
    cached = job.config.augmentation == "none"
    learner = seeded(
        lambda: LinearProbe(backbone.width, classes, job.config.optimizer, None if cached else backbone),
        job.seed,
        "linear_head",
    )

    def validate(current: Learner, ctx: StepContext) -> dict[str, float]:  # noqa: ARG001
        scores = accuracies(learner.head(features["test"]), labels["test"])
        return {f"val_{name}": score for name, score in scores.items()}

    history = fit(
        learner,
        _batches(job, stores["train"], features["train"], cached),
        epochs=job.config.epochs,
        job=job,
        accelerator=accelerator,
        on_epoch_end=validate,
    )
    if accelerator.is_main_process:
        nearest = knn_predict(
            features["train"],
            labels["train"],
            features["test"],
            neighbours=job.config.knn_neighbours,
            temperature=job.config.knn_temperature,
            classes=classes,
        )
        predicted = learner.head(features["test"]).argmax(1)
        figures = {
            "top1": summarise([row["val_top1"] for row in history if "val_top1" in row]),
            "top5": summarise([row["val_top5"] for row in history if "val_top5" in row]),
            "knn_top1": 100 * float((nearest == labels["test"]).float().mean()),
            "confusion": confusion(predicted, labels["test"], classes),
        }
        job.finish(prefixed(learner.head, "head."), {"kind": "linear", "history": history, **figures})


def _features(job: LinearJob, backbone: Backbone, store: ImageStore) -> Tensor:
    normalize = Normalize.for_data(job.images.card)
    return extract_features(
        backbone, lambda images: backbone(images).pooled, store, normalize, job.config.batch_size
    )


def _batches(job: LinearJob, store: ImageStore, features: Tensor, cached: bool) -> Batches:
    size = job.config.batch_size
    if cached:
        return LabelledBatches(MemoryStore(features, store.labels), lambda x, _: x, size, job.seed)
    crops = CropFlip.for_data(AugmentConfig(crop_scale=(0.08, 1.0)), job.images.card)
    return LabelledBatches(store, crops, size, job.seed)
