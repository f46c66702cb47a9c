"""Stage linear_evaluation."""

from samix.pipelines.linear_evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
