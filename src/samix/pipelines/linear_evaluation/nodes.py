"""Nodes of the stage linear_evaluation."""

from __future__ import annotations

from typing import Any

from samix.config.ssl import ModelConfig
from samix.config.stages import LinearEvaluationConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields


def probe_trained(
    card: dict[str, Any],
    manifest: DataFrame,
    backbone: WeightsFile,
    config: LinearEvaluationConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """Linear classifier and kNN on the trained backbone."""
    return _probe("linear_evaluation", "linear", card, manifest, backbone, config, model, training, seed)


def probe_untrained(
    card: dict[str, Any],
    manifest: DataFrame,
    config: LinearEvaluationConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """The same probe on the backbone as it was before any training."""
    label, metrics = "linear_evaluation untrained", "linear_untrained"
    return _probe(label, metrics, card, manifest, None, config, model, training, seed)


def score_probes(
    trained: WeightsFile, untrained: WeightsFile, card: dict[str, Any]
) -> tuple[dict[str, float], Any, Any]:
    """Figures of both probes and all protocols (linear top-1 is the median of the last 10 epochs), confusion
    matrix and curves.
    """
    from samix.analysis.curves import confusion_figure, curves_figure

    metrics: dict[str, float] = {}
    for prefix, about in (("", trained.metadata), ("untrained_", untrained.metadata)):
        for protocol, figures in about["figures"].items():
            metrics |= {f"{protocol}.{prefix}{key}": value for key, value in figures.items()}
    histories = {"trained": trained.metadata["history"], "untrained": untrained.metadata["history"]}
    matrix = confusion_figure(trained.metadata["confusion"], card["classes"])
    return metrics, matrix, curves_figure(histories, ["loss", "val_top1"])


def _probe(
    label: str,
    metrics: str,
    card: dict[str, Any],
    manifest: DataFrame,
    weights: WeightsFile | None,
    config: LinearEvaluationConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    from samix.jobs.linear import LinearJob, evaluate_linear
    from samix.training import run_job

    inputs: dict[str, Any] = {
        "card": card,
        "manifest": manifest,
        "model": model,
        "weights": weights,
        "config": config,
    }
    fields = job_fields(label, metrics, training, seed, **inputs)
    return run_job(evaluate_linear, LinearJob(**fields, **inputs))
