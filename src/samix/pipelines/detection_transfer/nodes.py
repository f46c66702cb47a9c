"""Nodes of the stage detection_transfer."""

from __future__ import annotations

from typing import Any

from samix.config.detection import DetectionConfig
from samix.config.ssl import ModelConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields


def provide_scenes(
    card: dict[str, Any], manifest: DataFrame, config: DetectionConfig, seed: int
) -> dict[str, str]:
    """Where the pictures lie: composed from images that pre-training never saw, or a set that is given."""
    from samix.detection.provide import provide_scenes as provide

    return provide(card, manifest, config, seed)


def train_transferred(
    card: dict[str, Any],
    scenes: dict[str, str],
    backbone: WeightsFile,
    config: DetectionConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """The detector that starts from the trained backbone."""
    return _train("detection_transfer", "detection", card, scenes, backbone, config, model, training, seed)


def train_scratch(
    card: dict[str, Any],
    scenes: dict[str, str],
    config: DetectionConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """The same detector with the same budget, from the backbone's initial weights."""
    label, metrics = "detection_transfer scratch", "detection_scratch"
    return _train(label, metrics, card, scenes, None, config, model, training, seed)


def score_detectors(
    transferred: WeightsFile, scratch: WeightsFile, scenes: dict[str, str]
) -> tuple[dict[str, float], Any, Any]:
    """COCO figures of both detectors, predictions of the first over the ground truth, and curves."""
    from samix.analysis.curves import curves_figure
    from samix.analysis.detections import detections_figure
    from samix.jobs.detection import read_split

    metrics: dict[str, float] = {}
    for prefix, about in (("", transferred.metadata), ("scratch_", scratch.metadata)):
        metrics |= {f"detection.{prefix}{key}": value for key, value in about["metrics"].items()}
    histories = {"transferred": transferred.metadata["history"], "scratch": scratch.metadata["history"]}
    shown = transferred.metadata["shown"]
    test = read_split(scenes, "test", transferred.metadata["classes"])
    images = [test.image(i) for i in range(len(shown))]
    truth = [{"boxes": test.boxes[i], "labels": test.labels[i]} for i in range(len(shown))]
    # scores stay low in a training this short
    picture = detections_figure(images, shown, truth, test.classes, threshold=0.25)
    return metrics, picture, curves_figure(histories, ["loss", "loss_classifier", "loss_box_reg"])


def _train(
    label: str,
    metrics: str,
    card: dict[str, Any],
    scenes: dict[str, str],
    weights: WeightsFile | None,
    config: DetectionConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    from samix.jobs.detection import DetectionJob, train_detector
    from samix.training import run_job

    inputs: dict[str, Any] = {
        "card": card,
        "scenes": scenes,
        "model": model,
        "weights": weights,
        "config": config,
    }
    fields = job_fields(label, metrics, training, seed, **inputs)
    return run_job(train_detector, DetectionJob(**fields, **inputs))
