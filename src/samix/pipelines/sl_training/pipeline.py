"""The supervised training of the backbone."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.sl_training import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
BUNDLE = "mixer_pretraining_sl.bundle_weights"
PARAMETERS = [
    "params:sl_training",
    "params:mixer_pretraining_sl",
    "params:supervised",
    "params:model",
    "params:training",
    "params:seed",
]


def create_pipeline() -> Pipeline:
    """The stage sl_training."""
    return Pipeline(
        [
            Node(
                nodes.train_classifier,
                [CARD, MANIFEST, BUNDLE, *PARAMETERS],
                "classifier_weights",
                name="train_classifier",
            ),
            Node(
                nodes.score_classifier,
                "classifier_weights",
                ["metrics", "curves_picture"],
                name="score_classifier",
            ),
        ],
        namespace="sl_training",
        inputs={CARD, MANIFEST, BUNDLE},
        parameters=set(PARAMETERS),
    )
