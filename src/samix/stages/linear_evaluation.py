"""Stage linear_evaluation: linear classifier and kNN on the frozen features, trained and untrained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samix.config.settings import Settings
from samix.stages.stage import Stage, Step, Task, Upstream, always

if TYPE_CHECKING:
    from samix.core.weights import WeightsFile
    from samix.data import Images

BACKBONE = "ssl_training.backbone_weights"


def probe_trained(settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    """Linear classifier and kNN on the trained backbone."""
    return _probe("linear_evaluation", settings, images, upstream[BACKBONE], seed)


def probe_untrained(settings: Settings, images: Images, _: Upstream, seed: int) -> Any:
    """The same probe on the backbone as it was before any training."""
    return _probe("linear_evaluation untrained", settings, images, None, seed)


def _probe(label: str, settings: Settings, images: Images, weights: WeightsFile | None, seed: int) -> Any:
    from samix.jobs.linear import LinearJob, evaluate_linear

    return evaluate_linear, LinearJob(
        label=label,
        seed=seed,
        training=settings.training,
        images=images,
        backbone=settings.model.backbone,
        weights=weights,
        config=settings.linear_evaluation,
    )


def check(settings: Settings, card: Mapping[str, Any]) -> None:
    """Batch and neighbours against the number of images; see `Stage`."""
    from samix.jobs.checks import check_linear, check_shares

    check_linear(settings.linear_evaluation, card["counts"]["train"])
    check_shares("linear_evaluation", settings.linear_evaluation.batch_size, settings.training)


def figures(probe: WeightsFile, kind: str = "") -> dict[str, float]:
    """Figures of one probe in %, as "<protocol>.<kind><figure>"; the linear top-1 is the median of the last
    10 epochs.
    """
    protocols = probe.metadata["figures"].items()
    return {f"{name}.{kind}{key}": value for name, found in protocols for key, value in found.items()}


def score_probes(
    trained: WeightsFile, untrained: WeightsFile, images: Images
) -> tuple[dict[str, float], Any, Any]:
    """Figures of both probes, the trained one's confusion matrix, and curves."""
    from samix.analysis.curves import confusion_figure, curves_figure

    histories = {"trained": trained.metadata["history"], "untrained": untrained.metadata["history"]}
    matrix = confusion_figure(trained.metadata["confusion"], images.card["classes"])
    metrics = figures(trained) | figures(untrained, "untrained_")
    return metrics, matrix, curves_figure(histories, ["loss", "val_top1"])


LINEAR_EVALUATION = Stage(
    "linear_evaluation",
    sections=("linear_evaluation", "model", "training"),
    tasks=(
        Task("probe_trained", "trained_weights", "linear", probe_trained, needs={BACKBONE: always}),
        Task("probe_untrained", "untrained_weights", "linear_untrained", probe_untrained),
    ),
    steps=(
        Step(
            "score_probes",
            score_probes,
            ("trained_weights", "untrained_weights", "images"),
            ("metrics", "confusion_picture", "curves_picture"),
        ),
    ),
    figures=figures,
    check=check,
    pictures={"confusion_picture": "Linear classifier: confusion matrix"},
    details={"curves_picture": "Linear evaluation, trained and untrained backbone"},
)
