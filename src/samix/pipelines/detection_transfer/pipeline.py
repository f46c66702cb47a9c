"""What the backbone is worth to a detector."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.detection_transfer import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
BACKBONE = "ssl_training.backbone_weights"
SHARED = ["params:detection_transfer", "params:model", "params:training", "params:seed"]


def create_pipeline() -> Pipeline:
    """The stage detection_transfer."""
    return Pipeline(
        [
            Node(
                nodes.provide_scenes,
                [CARD, MANIFEST, "params:detection_transfer", "params:seed"],
                "scenes",
                name="provide_scenes",
            ),
            Node(
                nodes.train_transferred,
                [CARD, "scenes", BACKBONE, *SHARED],
                "transferred_weights",
                name="train_transferred",
            ),
            Node(nodes.train_scratch, [CARD, "scenes", *SHARED], "scratch_weights", name="train_scratch"),
            Node(
                nodes.score_detectors,
                ["transferred_weights", "scratch_weights", "scenes"],
                ["metrics", "predictions_picture", "curves_picture"],
                name="score_detectors",
            ),
        ],
        namespace="detection_transfer",
        inputs={CARD, MANIFEST, BACKBONE},
        parameters=set(SHARED),
    )
