"""The benchmark: policies x backbones x seeds, as child runs of one run."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.mixup_benchmark import nodes

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
RUN_INFO = "reporting.run_info"


def create_pipeline() -> Pipeline:
    """The stage mixup_benchmark, on the images that data_preparation has left."""
    return Pipeline(
        [
            Node(
                nodes.run_benchmark,
                [CARD, MANIFEST, "params:mixup_benchmark", "params:training", "parameters"],
                "trials_table",
                name="run_benchmark",
            ),
            Node(nodes.compare, "trials_table", ["summary_csv", "cost_picture"], name="compare"),
            Node(
                nodes.write_report,
                ["trials_table", "summary_csv", CARD, RUN_INFO, "params:training"],
                "report_markdown",
                name="write_report",
            ),
        ],
        namespace="mixup_benchmark",
        inputs={CARD, MANIFEST, RUN_INFO},
        parameters={"params:mixup_benchmark", "params:training", "parameters"},
    )
