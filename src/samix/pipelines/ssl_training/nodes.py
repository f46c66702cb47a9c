"""Nodes of the stage ssl_training."""

from __future__ import annotations

from typing import Any

from samix.config.mixing import SSLMixerTrainingConfig
from samix.config.ssl import ModelConfig
from samix.config.stages import MixerPretrainingConfig, PseudoLabelsConfig, SSLTrainingConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields, label_inputs


def train_encoder(
    card: dict[str, Any],
    manifest: DataFrame,
    bundle: WeightsFile,
    pseudo_labels: DataFrame,
    config: SSLTrainingConfig,
    mixer: MixerPretrainingConfig,
    clusters: PseudoLabelsConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """Train MoCo v2 with the policy; samix and automix train a new Mixer along."""
    from samix.jobs import moco
    from samix.jobs.build import mixer_along
    from samix.training import run_job

    policy = config.policy
    own_mixer = mixer_along(policy, SSLMixerTrainingConfig, mixer)
    own_bundle = bundle if policy.name == "samix_p" else None
    inputs: dict[str, Any] = {
        "card": card,
        "manifest": manifest,
        "model": model,
        "epochs": config.epochs,
        "policy": policy,
        "mixer": own_mixer,
        "bundle": own_bundle,
        **label_inputs(policy, own_mixer, own_bundle, pseudo_labels, clusters),
    }
    fields = job_fields("ssl_training", "ssl", training, seed, **inputs)
    return run_job(moco.train_encoder, moco.MoCoJob(**fields, **inputs))


def score_encoder(backbone: WeightsFile) -> tuple[dict[str, float], Any]:
    """Figures at the end of the training, and curves."""
    from samix.analysis.curves import curves_figure

    history = backbone.metadata["history"]
    keys = [key for key in ("loss", "loss_ssl", "loss_mixed", "queue_top1") if key in history[-1]]
    figure = curves_figure({"MoCo": history}, [*keys, "lr/encoder"])
    return {f"ssl.{key}": history[-1][key] for key in keys}, figure
