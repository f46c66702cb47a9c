"""The pipelines by the names that `kedro run --pipeline=` takes."""

from kedro.pipeline import Pipeline

from samix.pipelines import (
    data_preparation,
    detection_transfer,
    linear_evaluation,
    mixer_pretraining,
    mixer_pretraining_sl,
    mixup_benchmark,
    pseudo_labels,
    reporting,
    samix_ablation,
    sl_training,
    ssl_training,
)
from samix.pipelines.reporting.contents import SL


def register_pipelines() -> dict[str, Pipeline]:
    """Every stage by its own name; `samix_ssl`, also the default, and `samix_sl` as sums of theirs."""
    ssl = {
        "data_preparation": data_preparation.create_pipeline(),
        "pseudo_labels": pseudo_labels.create_pipeline(),
        "mixer_pretraining": mixer_pretraining.create_pipeline(),
        "ssl_training": ssl_training.create_pipeline(),
        "linear_evaluation": linear_evaluation.create_pipeline(),
        "detection_transfer": detection_transfer.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    sl = {
        "mixer_pretraining_sl": mixer_pretraining_sl.create_pipeline(),
        "sl_training": sl_training.create_pipeline(),
        "reporting_sl": reporting.create_pipeline("reporting_sl", SL),
    }
    samix_ssl = sum(ssl.values(), start=Pipeline([]))
    samix_sl = sum(sl.values(), start=data_preparation.create_pipeline(supervised=True))
    return {
        "samix_ssl": samix_ssl,
        "samix_sl": samix_sl,
        "samix_ablation": data_preparation.create_pipeline(supervised=True)
        + samix_ablation.create_pipeline(),
        "mixup_benchmark": data_preparation.create_pipeline(supervised=True)
        + mixup_benchmark.create_pipeline(),
        **ssl,
        **sl,
        "__default__": samix_ssl,
    }
