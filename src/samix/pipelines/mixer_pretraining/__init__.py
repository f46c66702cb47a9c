"""Stage mixer_pretraining."""

from samix.pipelines.mixer_pretraining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
