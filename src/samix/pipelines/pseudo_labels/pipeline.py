"""Pseudo labels by online deep clustering."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.pseudo_labels import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"


def create_pipeline() -> Pipeline:
    """The stage pseudo_labels."""
    return Pipeline(
        [
            Node(
                nodes.cluster_images,
                [CARD, MANIFEST, "params:pseudo_labels", "params:model", "params:training", "params:seed"],
                "encoder_weights",
                name="cluster_images",
            ),
            Node(
                nodes.list_pseudo_labels,
                ["encoder_weights", MANIFEST],
                ["labels", "centroids_table"],
                name="list_pseudo_labels",
            ),
            Node(
                nodes.score_pseudo_labels,
                ["encoder_weights", "labels"],
                ["metrics", "curves_picture"],
                name="score_pseudo_labels",
            ),
            Node(
                nodes.draw_clusters,
                [CARD, MANIFEST, "labels", "params:seed"],
                ["members_picture", "sizes_chart"],
                name="draw_clusters",
            ),
        ],
        namespace="pseudo_labels",
        inputs={CARD, MANIFEST},
        parameters={"params:pseudo_labels", "params:model", "params:training", "params:seed"},
    )
