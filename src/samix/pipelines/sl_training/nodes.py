"""Nodes of the stage sl_training."""

from __future__ import annotations

from typing import Any

from samix.config.mixing import MixerTrainingConfig
from samix.config.ssl import ModelConfig
from samix.config.supervised import SLTrainingConfig, SupervisedConfig, SupervisedMixerConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields


def train_classifier(
    card: dict[str, Any],
    manifest: DataFrame,
    bundle: WeightsFile,
    config: SLTrainingConfig,
    mixer: SupervisedMixerConfig,
    supervised: SupervisedConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """Train under labels; samix, automix and adautomix train a new Mixer along."""
    from samix.jobs import supervised as jobs
    from samix.jobs.build import mixer_along
    from samix.training import run_job

    policy = config.policy
    inputs: dict[str, Any] = {
        "card": card,
        "manifest": manifest,
        "backbone": model.backbone,
        "supervised": supervised,
        "epochs": config.epochs,
        "policy": policy,
        "mixer": mixer_along(policy, MixerTrainingConfig, mixer),
        "bundle": bundle if policy.name == "samix_p" else None,
    }
    fields = job_fields("sl_training", "sl", training, seed, **inputs)
    return run_job(jobs.train_classifier, jobs.SupervisedJob(**fields, **inputs))


def score_classifier(classifier: WeightsFile) -> tuple[dict[str, float], Any]:
    """Top-1 and top-5 (medians of the last 10 epochs) of every head and network, and curves.

    sl.top1 is the headline: momentum network before the online one, mixed head before the plain one.
    """
    from samix.analysis.curves import curves_figure

    about = classifier.metadata
    figures, history = about["figures"], about["history"]
    headline = figures[about["headline"]]
    metrics = {"sl.top1": headline["median"], "sl.top1_last": headline["last"]}
    metrics |= {f"sl.{key.removeprefix('val_')}": value["median"] for key, value in figures.items()}
    shown = ["loss", *(key for key in figures if key.startswith("val_top1"))]
    return metrics, curves_figure({"training": history}, [*shown, "lr/encoder"])
