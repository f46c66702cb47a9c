"""Pipeline mixup_benchmark."""

from samix.pipelines.mixup_benchmark.pipeline import create_pipeline

__all__ = ["create_pipeline"]
