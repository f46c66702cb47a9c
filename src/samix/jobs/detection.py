"""Job of the stage detection_transfer: one detector, from given or from the run's initial weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from samix.config.detection import DetectionConfig
from samix.config.networks import BackboneConfig
from samix.core.random import Stream
from samix.core.weights import WeightsFile
from samix.data import Images
from samix.detection.detectors import DETECTORS
from samix.detection.evaluate import coco_metrics
from samix.detection.learner import DetectionBatches, DetectorLearner
from samix.detection.predict import Detections, predict
from samix.detection.voc import DetectionSet, read_voc, voc_files
from samix.jobs.build import seeded, start_backbone
from samix.training import Job, fit

SHOWN = 8
"""Test pictures whose detections are kept with the result."""


@dataclass(frozen=True, kw_only=True)
class DetectionJob(Job):
    """One detector.

    images: those that the backbone has seen; scenes: root, year and splits of a VOC-style set; weights: of
    the backbone, None for the run's initial ones.
    """

    images: Images
    scenes: dict[str, str]
    backbone: BackboneConfig
    weights: WeightsFile | None
    config: DetectionConfig

    @property
    def named(self) -> Iterable[Callable[..., Any]]:
        """The function that builds the detector."""
        return [DETECTORS[self.config.detector.name]]

    @property
    def files(self) -> Iterable[Path]:
        """Pretrained weights of the backbone, and the set of pictures."""
        return [*self.backbone.files, *voc_files(Path(self.scenes["root"]), self.scenes["year"])]


def train_detector(job: DetectionJob, accelerator: Accelerator) -> None:
    """Train and test a detector; the result is the detector, with COCO's figures in the metadata."""
    train = read_split(job.scenes, "train")
    test = read_split(job.scenes, "test", train.classes)
    backbone = start_backbone(job.backbone, job.seed, job.weights)
    build, (mean, std) = DETECTORS[job.config.detector.name], job.images.statistics
    detector = seeded(
        lambda: build(backbone, len(train.classes), job.config.detector, mean=mean, std=std),
        job.seed,
        Stream.DETECTOR,
    )
    history = fit(
        DetectorLearner(detector, job.config.optimizer),
        DetectionBatches(train, job.config, job.seed),
        epochs=job.config.epochs,
        job=job,
        accelerator=accelerator,
    )
    if accelerator.is_main_process:
        found = predict(detector, test)
        about = {
            "kind": "detector",
            "classes": list(train.classes),
            "history": history,
            "metrics": coco_metrics(found, test),
            "shown": [_plain(picture) for picture in found[:SHOWN]],
        }
        job.finish(detector.state_dict(), about)


def read_split(scenes: dict[str, str], split: str, classes: list[str] | None = None) -> DetectionSet:
    """Read "train" or "test" of the set that `scenes` names."""
    return read_voc(Path(scenes["root"]), scenes["year"], scenes[f"{split}_split"], classes)


def _plain(picture: Detections) -> dict[str, list[Any]]:
    return {name: values.tolist() for name, values in picture.items() if isinstance(values, Tensor)}
