"""The Mixer, trained online in MoCo v2 and kept with its encoder."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.mixer_pretraining import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
LABELS, ENCODER = "pseudo_labels.labels", "pseudo_labels.encoder_weights"


def create_pipeline() -> Pipeline:
    """The stage mixer_pretraining."""
    return Pipeline(
        [
            Node(
                nodes.pretrain_mixer,
                [
                    CARD,
                    MANIFEST,
                    LABELS,
                    ENCODER,
                    "params:mixer_pretraining",
                    "params:pseudo_labels",
                    "params:model",
                    "params:training",
                    "params:seed",
                ],
                "bundle_weights",
                name="pretrain_mixer",
            ),
            Node(nodes.score_mixer, "bundle_weights", ["metrics", "curves_picture"], name="score_mixer"),
            Node(
                nodes.draw_masks,
                ["bundle_weights", CARD, MANIFEST],
                ["masks_picture", "attention_picture"],
                name="draw_masks",
            ),
        ],
        namespace="mixer_pretraining",
        inputs={CARD, MANIFEST, LABELS, ENCODER},
        parameters={
            "params:mixer_pretraining",
            "params:pseudo_labels",
            "params:model",
            "params:training",
            "params:seed",
        },
    )
