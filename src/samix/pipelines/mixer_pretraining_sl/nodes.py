"""Nodes of the stage mixer_pretraining_sl; what draws and scores a Mixer is mixer_pretraining's."""

from __future__ import annotations

from typing import Any

from samix.config.mixing import PolicyConfig
from samix.config.ssl import ModelConfig
from samix.config.supervised import SupervisedConfig, SupervisedMixerConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields


def pretrain_mixer(
    card: dict[str, Any],
    manifest: DataFrame,
    config: SupervisedMixerConfig,
    supervised: SupervisedConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """Train SAMix online under labels; the bundle holds the Mixer and the encoder it understands."""
    from samix.jobs import supervised as jobs
    from samix.training import run_job

    inputs: dict[str, Any] = {
        "card": card,
        "manifest": manifest,
        "backbone": model.backbone,
        "supervised": supervised,
        "epochs": config.epochs,
        "policy": PolicyConfig(name="samix", alpha=config.alpha),
        "mixer": config,
    }
    fields = job_fields("mixer_pretraining_sl", "mixer", training, seed, **inputs)
    return run_job(jobs.pretrain_mixer, jobs.SupervisedJob(**fields, **inputs))
