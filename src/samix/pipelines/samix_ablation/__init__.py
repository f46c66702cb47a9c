"""Pipeline samix_ablation."""

from samix.pipelines.samix_ablation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
