"""The self-supervised training of the backbone."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.ssl_training import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
BUNDLE, LABELS = "mixer_pretraining.bundle_weights", "pseudo_labels.labels"


def create_pipeline() -> Pipeline:
    """The stage ssl_training."""
    return Pipeline(
        [
            Node(
                nodes.train_encoder,
                [
                    CARD,
                    MANIFEST,
                    BUNDLE,
                    LABELS,
                    "params:ssl_training",
                    "params:mixer_pretraining",
                    "params:pseudo_labels",
                    "params:model",
                    "params:training",
                    "params:seed",
                ],
                "backbone_weights",
                name="train_encoder",
            ),
            Node(
                nodes.score_encoder, "backbone_weights", ["metrics", "curves_picture"], name="score_encoder"
            ),
        ],
        namespace="ssl_training",
        inputs={CARD, MANIFEST, BUNDLE, LABELS},
        parameters={
            "params:ssl_training",
            "params:mixer_pretraining",
            "params:pseudo_labels",
            "params:model",
            "params:training",
            "params:seed",
        },
    )
