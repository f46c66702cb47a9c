"""Stage ssl_training."""

from samix.pipelines.ssl_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
