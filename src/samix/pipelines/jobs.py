"""What every training node does: name the job, fingerprint its inputs, send its metrics to MLflow."""

from __future__ import annotations

from typing import Any

from samix import __version__
from samix.config.training import TrainingConfig
from samix.core.fingerprint import fingerprint
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
