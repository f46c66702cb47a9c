"""Stage mixer_pretraining_sl."""

from samix.pipelines.mixer_pretraining_sl.pipeline import create_pipeline

__all__ = ["create_pipeline"]
