"""One page with everything."""

from kedro.pipeline import Node, Pipeline

from samix.pipelines.reporting import nodes
from samix.pipelines.reporting.contents import SSL, Contents

RUN_INFO = "reporting.run_info"


def create_pipeline(namespace: str = "reporting", contents: Contents = SSL) -> Pipeline:
    """The stage reporting, or for other contents its like under another name."""
    summarise, write_report = nodes.summariser(contents.metrics), nodes.report_writer(contents.pictures)
    return Pipeline(
        [
            Node(summarise, [RUN_INFO, *contents.metrics], "summary", name="summarise"),
            Node(
                write_report,
                ["summary", RUN_INFO, *contents.pictures],
                ["report_html", "report_markdown"],
                name="write_report",
            ),
        ],
        namespace=namespace,
        inputs={RUN_INFO, *contents.metrics, *contents.pictures},
    )
