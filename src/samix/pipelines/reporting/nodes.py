"""Nodes of the stages reporting and reporting_sl."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Summarise = Callable[..., dict[str, float]]
Write = Callable[..., tuple[str, str]]


def summariser(datasets: Iterable[str]) -> Summarise:
    """A node that gathers metrics, whose stages are those of `datasets`."""
    stages = [name.split(".")[0] for name in datasets]

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
