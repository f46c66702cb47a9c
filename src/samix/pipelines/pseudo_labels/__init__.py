"""Stage pseudo_labels."""

from samix.pipelines.pseudo_labels.pipeline import create_pipeline

__all__ = ["create_pipeline"]
