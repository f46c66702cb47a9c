"""Stage sl_training."""

from samix.pipelines.sl_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
