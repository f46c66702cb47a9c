"""Stage data_preparation."""

from samix.pipelines.data_preparation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
