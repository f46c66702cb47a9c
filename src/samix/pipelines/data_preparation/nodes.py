"""Nodes of the stage data_preparation."""

from __future__ import annotations

from typing import Any

from samix.config.data import DataConfig
from samix.config.detection import DetectionConfig
from samix.config.ssl import ModelConfig
from samix.config.stages import LinearEvaluationConfig, PseudoLabelsConfig, SSLTrainingConfig
from samix.config.supervised import SLTrainingConfig, SupervisedConfig
from samix.config.training import TrainingConfig
from samix.pipelines.frames import DataFrame


def prepare_images(data: DataConfig, seed: int) -> tuple[DataFrame, dict[str, Any], DataFrame]:
    """Read, check and list the images: manifest, card and class counts."""
    from samix.data import prepare

    return tuple(prepare(data, seed))  # type: ignore[return-value]


def check_settings(
    card: dict[str, Any],
    model: ModelConfig,
    training: TrainingConfig,
    pseudo_labels: PseudoLabelsConfig,
    linear: LinearEvaluationConfig,
    detection: DetectionConfig,
    ssl_training: SSLTrainingConfig,
) -> dict[str, Any]:
    """Hold the settings of all later stages against the data; the card passes through."""
    from samix.jobs.checks import check_settings as check

    check(card, model, training, pseudo_labels, linear, detection, ssl_training.policy)
    return card


def check_settings_sl(
    card: dict[str, Any],
    model: ModelConfig,
    training: TrainingConfig,
    supervised: SupervisedConfig,
    sl_training: SLTrainingConfig,
) -> dict[str, Any]:
    """Hold the settings of the supervised stages against the data; the card passes through."""
    from samix.jobs.checks import check_supervised_settings as check

    check(card, model, training, supervised, sl_training.policy)
    return card


def describe_images(
    card: dict[str, Any], manifest: DataFrame, class_counts: DataFrame
) -> tuple[dict[str, float], Any, Any]:
    """Figures, contact sheet and chart of the class counts."""
    from samix.analysis.images import class_counts_figure, contact_sheet
    from samix.data import open_images

    metrics = {f"data.{split}": float(count) for split, count in card["counts"].items()}
    metrics |= {"data.classes": float(len(card["classes"])), "data.duplicates": float(card["duplicates"])}
    sheet = contact_sheet(open_images(card, manifest, "train"), card)
    return metrics, sheet, class_counts_figure(class_counts)
