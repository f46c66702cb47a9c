"""Stage detection_transfer."""

from samix.pipelines.detection_transfer.pipeline import create_pipeline

__all__ = ["create_pipeline"]
