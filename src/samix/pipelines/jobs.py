"""What every training node does: name the job, fingerprint its inputs, send its metrics to MLflow."""

from __future__ import annotations

from typing import Any

import pandas as pd

from samix import __version__
from samix.config.mixing import SSLMixerTrainingConfig
from samix.config.stages import PseudoLabelsConfig
from samix.config.training import TrainingConfig
from samix.core.fingerprint import fingerprint
from samix.core.weights import WeightsFile
from samix.kedro.tracking import stage_sink


def job_fields(
    label: str, metrics: str, training: TrainingConfig, seed: int, **inputs: Any
) -> dict[str, Any]:
    """Fields that all jobs share.

    Args: label of the job; metrics, prefix of its keys in MLflow; inputs, everything the result depends on.
    Where checkpoints lie and how often they are written does not change the result.
    """
    how = training.model_dump(mode="json", include={"devices", "device", "precision"})
    return {
        "label": label,
        "fingerprint": fingerprint(version=__version__, seed=seed, training=how, **inputs),
        "seed": seed,
        "training": training,
        "sink": stage_sink(metrics),
    }


def label_inputs(
    mixer: SSLMixerTrainingConfig | None,
    bundle: WeightsFile | None,
    pseudo_labels: pd.DataFrame,
    config: PseudoLabelsConfig,
) -> dict[str, Any]:
    """Pseudo labels and how they follow the encoder, where a job asks for them: else its result would seem to
    depend on them.
    """
    from samix.jobs.labels import uses_labels

    if not uses_labels(mixer, bundle):
        return {}
    given = mixer is None or mixer.cluster.labels != "true"
    return {"pseudo_labels": pseudo_labels if given else None, "clustering": config.clustering}
