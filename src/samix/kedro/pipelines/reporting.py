"""Stages reporting and reporting_sl: one page with everything that the stages before have found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline

from samix.kedro.pipelines import data_preparation
from samix.stages.stage import Stage

RUN_INFO = "reporting.run_info"
Summarise = Callable[..., dict[str, float]]
Write = Callable[..., tuple[str, str]]


def reporting(name: str, stages: Sequence[Stage]) -> Pipeline:
    """The stage called `name`: metrics and pictures of data_preparation and of `stages`."""
    names = [data_preparation.NAME, *(stage.name for stage in stages)]
    metrics = [f"{stage}.metrics" for stage in names]
    captions = _captions(stages)
    return Pipeline(
        [
            Node(summariser(names), [RUN_INFO, *metrics], "summary", name="summarise"),
            Node(
                report_writer(captions),
                ["summary", RUN_INFO, *captions],
                ["report_html", "report_markdown"],
                name="write_report",
            ),
        ],
        namespace=name,
        inputs={RUN_INFO, *metrics, *captions},
    )


def _captions(stages: Sequence[Stage]) -> dict[str, str]:
    """Pictures in the order of the page, data set -> caption: those to be seen first, then the details."""
    first = [(stage.name, stage.pictures) for stage in stages]
    details = [
        (data_preparation.NAME, data_preparation.DETAILS),
        *((stage.name, stage.details) for stage in stages),
    ]
    return {f"{stage}.{name}": text for stage, named in first + details for name, text in named.items()}


def summariser(stages: Iterable[str]) -> Summarise:
    """A node that gathers the metrics of stages."""

    def summarise(run_info: dict[str, Any], *metrics: dict[str, float]) -> dict[str, float]:
        """All figures of all stages, and the seconds each stage took, in one flat dictionary."""
        figures = {key: value for stage in metrics for key, value in stage.items()}
        seconds = {f"seconds.{key}": took for key, took in run_info["seconds"].items() if key in stages}
        return figures | seconds

    return summarise


def report_writer(captions: dict[str, str]) -> Write:
    """A node that writes the page with the pictures of `captions`, dataset name -> caption."""

    def write_report(summary: dict[str, float], run_info: dict[str, Any], *pngs: bytes) -> tuple[str, str]:
        """The page as HTML and as Markdown; pictures in the order of the captions."""
        from samix.analysis.report import Picture, html_report, markdown_report

        pictures = [
            Picture(caption, png, name.removesuffix("_picture").replace(".", "/") + ".png")
            for (name, caption), png in zip(captions.items(), pngs, strict=True)
        ]
        return html_report(summary, run_info, pictures), markdown_report(summary, run_info, pictures)

    return write_report
