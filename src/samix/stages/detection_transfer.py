"""Stage detection_transfer: a detector from the trained backbone, and one from the initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samix.config.detection import DetectionConfig
from samix.config.settings import Settings
from samix.core.errors import ConfigError
from samix.stages.stage import Stage, Step, Task, Upstream, always

if TYPE_CHECKING:
    from samix.core.weights import WeightsFile
    from samix.data import Images

BACKBONE, SCENES = "ssl_training.backbone_weights", "detection_transfer.scenes"


def provide_scenes(images: Images, config: DetectionConfig, seed: int) -> dict[str, str]:
    """Where the pictures lie: composed from images that pre-training never saw, or a set that is given."""
    from samix.detection.provide import provide_scenes as provide

    return provide(images, config, seed)


def train_transferred(settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    """The detector that starts from the trained backbone."""
    return _detector("detection_transfer", settings, images, upstream, seed)


def train_scratch(settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    """The same detector with the same budget, from the backbone's initial weights."""
    return _detector("detection_transfer scratch", settings, images, upstream, seed)


def _detector(label: str, settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    from samix.jobs.detection import DetectionJob, train_detector

    return train_detector, DetectionJob(
        label=label,
        seed=seed,
        training=settings.training,
        images=images,
        scenes=upstream[SCENES],
        backbone=settings.model.backbone,
        weights=upstream.get(BACKBONE),
        config=settings.detection_transfer,
    )


def check(settings: Settings, _: Mapping[str, Any]) -> None:
    """The batch against the devices, and whether a given set is there; see `Stage`."""
    from samix.jobs.checks import check_shares

    config = settings.detection_transfer
    check_shares("detection_transfer", config.batch_size, settings.training)
    if config.source == "voc" and not config.root.exists():
        raise ConfigError(f"detection_transfer.root: there is no folder {config.root}.")


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


DETECTION_TRANSFER = Stage(
    "detection_transfer",
    sections=("detection_transfer", "model", "training"),
    tasks=(
        Task(
            "train_transferred",
            "transferred_weights",
            "detection",
            train_transferred,
            needs={SCENES: always, BACKBONE: always},
        ),
        Task("train_scratch", "scratch_weights", "detection_scratch", train_scratch, needs={SCENES: always}),
    ),
    steps=(
        Step("provide_scenes", provide_scenes, ("images", "params:detection_transfer", "seed"), ("scenes",)),
        Step(
            "score_detectors",
            score_detectors,
            ("transferred_weights", "scratch_weights", "scenes"),
            ("metrics", "predictions_picture", "curves_picture"),
        ),
    ),
    check=check,
    pictures={"predictions_picture": "Detector: predictions over ground truth"},
    details={"curves_picture": "Detectors, transferred and from scratch"},
)
