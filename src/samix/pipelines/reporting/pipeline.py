"""One page with everything."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.reporting import nodes
from samix.pipelines.reporting.contents import METRICS, PICTURES


def create_pipeline() -> Pipeline:
    """The stage reporting."""
    return Pipeline(
        [
            Node(nodes.summarise, ["run_info", *METRICS], "summary", name="summarise"),
            Node(
                nodes.write_report,
                ["summary", "run_info", *PICTURES],
                ["report_html", "report_markdown"],
                name="write_report",
            ),
        ],
        namespace="reporting",
        inputs={*METRICS, *PICTURES},
    )
