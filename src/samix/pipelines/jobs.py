"""What training nodes do: name the job, fingerprint its inputs, send its metrics to MLflow."""

from __future__ import annotations

from typing import Any

from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.config.stages import PseudoLabelsConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.kedro.tracking import stage_sink
from samix.pipelines.frames import DataFrame


def job_fields(
    label: str, metrics: str, training: TrainingConfig, seed: int, **inputs: Any
) -> dict[str, Any]:
    """Fields that all jobs share; metrics: prefix of its keys in MLflow; see samix.jobs.build.job_fields."""
    from samix.jobs import build

    return build.job_fields(label, training, seed, stage_sink(metrics), **inputs)


def label_inputs(
    policy: PolicyConfig,
    mixer: SSLMixerTrainingConfig | None,
    bundle: WeightsFile | None,
    pseudo_labels: DataFrame,
    config: PseudoLabelsConfig,
) -> dict[str, Any]:
    """Pseudo labels and how they follow the encoder, where a job asks for them: else its result would seem to
    depend on them.
    """
    from samix.jobs.labels import uses_labels

    if not uses_labels(policy, mixer, bundle):
        return {}
    given = mixer is None or mixer.cluster.labels != "true"
    return {"pseudo_labels": pseudo_labels if given else None, "clustering": config.clustering}
