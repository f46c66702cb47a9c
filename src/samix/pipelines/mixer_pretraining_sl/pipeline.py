"""The Mixer, trained online under labels and kept with its encoder."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.mixer_pretraining.nodes import draw_masks, score_mixer
from samix.pipelines.mixer_pretraining_sl import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
PARAMETERS = [
    "params:mixer_pretraining_sl",
    "params:supervised",
    "params:model",
    "params:training",
    "params:seed",
]


def create_pipeline() -> Pipeline:
    """The stage mixer_pretraining_sl."""
    return Pipeline(
        [
            Node(
                nodes.pretrain_mixer, [CARD, MANIFEST, *PARAMETERS], "bundle_weights", name="pretrain_mixer"
            ),
            Node(score_mixer, "bundle_weights", ["metrics", "curves_picture"], name="score_mixer"),
            Node(
                draw_masks,
                ["bundle_weights", CARD, MANIFEST],
                ["masks_picture", "attention_picture"],
                name="draw_masks",
            ),
        ],
        namespace="mixer_pretraining_sl",
        inputs={CARD, MANIFEST},
        parameters=set(PARAMETERS),
    )
