"""The paper's ablations: named variants x seeds, as child runs of one run."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.samix_ablation import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"


def create_pipeline() -> Pipeline:
    """The stage samix_ablation, on the images that data_preparation has left."""
    return Pipeline(
        [
            Node(
                nodes.run_ablation,
                [CARD, MANIFEST, "params:samix_ablation", "params:training", "parameters"],
                "trials_table",
                name="run_ablation",
            ),
            Node(
                nodes.compare,
                "trials_table",
                ["summary_table", "summary_markdown", "results_picture"],
                name="compare",
            ),
        ],
        namespace="samix_ablation",
        inputs={CARD, MANIFEST},
        parameters={"params:samix_ablation", "params:training", "parameters"},
    )
