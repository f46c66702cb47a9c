"""The pipelines by the names that `kedro run --pipeline=` takes."""

from kedro.pipeline import Pipeline

from samix.pipelines import (
    data_preparation,
    detection_transfer,
    linear_evaluation,
    mixer_pretraining,
    pseudo_labels,
    reporting,
    ssl_training,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Every stage by its own name, `samix_ssl` as their sum, which is also the default."""
    stages = {
        "data_preparation": data_preparation.create_pipeline(),
        "pseudo_labels": pseudo_labels.create_pipeline(),
        "mixer_pretraining": mixer_pretraining.create_pipeline(),
        "ssl_training": ssl_training.create_pipeline(),
        "linear_evaluation": linear_evaluation.create_pipeline(),
        "detection_transfer": detection_transfer.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    samix_ssl = sum(stages.values(), start=Pipeline([]))
    return {"samix_ssl": samix_ssl, **stages, "__default__": samix_ssl}
