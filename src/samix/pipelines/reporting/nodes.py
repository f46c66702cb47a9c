"""Nodes of the stage reporting."""

from __future__ import annotations

from typing import Any

from samix.pipelines.reporting.contents import PICTURES


def summarise(run_info: dict[str, Any], *metrics: dict[str, float]) -> dict[str, float]:
    """All figures of all stages, and the seconds each stage took, in one flat dictionary."""
    figures = {key: value for stage in metrics for key, value in stage.items()}
    return figures | {f"seconds.{stage}": seconds for stage, seconds in run_info["seconds"].items()}


def write_report(summary: dict[str, float], run_info: dict[str, Any], *pngs: bytes) -> tuple[str, str]:
    """The page as HTML and as Markdown; pictures in the order of `PICTURES`."""
    from samix.analysis.report import Picture, html_report, markdown_report

    pictures = [
        Picture(caption, png, name.removesuffix("_picture").replace(".", "/") + ".png")
        for (name, caption), png in zip(PICTURES.items(), pngs, strict=True)
    ]
    return html_report(summary, run_info, pictures), markdown_report(summary, run_info, pictures)
