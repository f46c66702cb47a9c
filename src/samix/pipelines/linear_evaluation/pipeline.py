"""What the frozen features are worth."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.linear_evaluation import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
BACKBONE = "ssl_training.backbone_weights"
SHARED = ["params:linear_evaluation", "params:model", "params:training", "params:seed"]


def create_pipeline() -> Pipeline:
    """The stage linear_evaluation."""
    return Pipeline(
        [
            Node(
                nodes.probe_trained,
                [CARD, MANIFEST, BACKBONE, *SHARED],
                "trained_weights",
                name="probe_trained",
            ),
            Node(
                nodes.probe_untrained, [CARD, MANIFEST, *SHARED], "untrained_weights", name="probe_untrained"
            ),
            Node(
                nodes.score_probes,
                ["trained_weights", "untrained_weights", CARD],
                ["metrics", "confusion_picture", "curves_picture"],
                name="score_probes",
            ),
        ],
        namespace="linear_evaluation",
        inputs={CARD, MANIFEST, BACKBONE},
        parameters=set(SHARED),
    )
