"""One page with all results of a run, as HTML (pictures embedded) and as Markdown (pictures as files)."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEADLINES = {
    "sl.top1": "Top-1, median of the last 10 epochs (%)",
    "sl.top1_plain_q": "Top-1 of the online network's plain head (%)",
    "linear.top1": "Linear top-1, median of the last 10 epochs (%)",
    "linear.untrained_top1": "Linear top-1 of the untrained backbone (%)",
    "knn.top1": "kNN top-1 (%)",
    "knn.untrained_top1": "kNN top-1 of the untrained backbone (%)",
    "detection.AP": "Detection AP, IoU .50:.95",
    "detection.scratch_AP": "Detection AP from scratch",
    "detection.AP50": "Detection AP50",
    "detection.scratch_AP50": "Detection AP50 from scratch",
    "clustering.nmi": "NMI of the pseudo labels",
    "clustering.purity": "Purity of the pseudo labels",
    "mixer.mask_error": "Mixer: mean |mask mean - lam|",
    "mixer.mask_variance": "Mixer: mask variance",
}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222 }
body { margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd }
td:last-child { text-align: right; font-variant-numeric: tabular-nums } th { text-align: left }
.tables { display: flex; flex-wrap: wrap; gap: 0 4rem }
img { max-width: 100%; margin: .5rem 0 } code { background: #f4f4f4; padding: .1rem .3rem }
"""


@dataclass(frozen=True)
class Picture:
    """A PNG, its caption, and its path relative to the Markdown file."""

    caption: str
    png: bytes
    path: str


def markdown_report(summary: Mapping[str, float], run: Mapping[str, Any], pictures: list[Picture]) -> str:
    """The report as Markdown; pictures are links to files."""
    parts = [f"# {_title(run)}", f"    {run['command']}"]
    for title, rows in _tables(summary, run).items():
        lines = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
        parts += [f"## {title}", "\n".join(["| | |", "|---|---:|", *lines])]
    parts += [f"## {p.caption}\n\n![{p.caption}]({p.path})" for p in pictures]
    return "\n\n".join(parts) + "\n"


def html_report(summary: Mapping[str, float], run: Mapping[str, Any], pictures: list[Picture]) -> str:
    """The report as one HTML file that needs no other."""
    title = html.escape(_title(run))
    parts = [
        f"<h1>{title}</h1>",
        f"<p><code>{html.escape(run['command'])}</code></p>",
        '<div class="tables">',
    ]
    for heading, rows in _tables(summary, run).items():
        cells = "".join(f"<tr><td>{html.escape(n)}</td><td>{html.escape(v)}</td></tr>" for n, v in rows)
        parts.append(f"<section><h2>{heading}</h2><table>{cells}</table></section>")
    parts.append("</div>")
    for picture in pictures:
        data = base64.b64encode(picture.png).decode()
        caption = html.escape(picture.caption)
        parts.append(f'<h2>{caption}</h2><img alt="{caption}" src="data:image/png;base64,{data}">')
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _title(run: Mapping[str, Any]) -> str:
    return f"samix: {run['pipeline']}, environment {run['environment']}, seed {run['seed']}"


def _tables(summary: Mapping[str, float], run: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    headlines = [(HEADLINES[key], f"{summary[key]:.4g}") for key in HEADLINES if key in summary]
    others = [
        (key, f"{value:.4g}")
        for key, value in summary.items()
        if key not in HEADLINES and not key.startswith("seconds.")
    ]
    took = {
        key.removeprefix("seconds."): value for key, value in summary.items() if key.startswith("seconds.")
    }
    seconds = [(stage, f"{value:.1f}") for stage, value in took.items()]
    # a project that was downloaded without its history has no commit
    commit = (
        f"{run.get('commit', 'unknown')}{' (with uncommitted changes)' if run.get('dirty') == 'true' else ''}"
    )
    versions = [("commit", commit), *((name, str(version)) for name, version in run["versions"].items())]
    tables = {
        "Results": headlines,
        "Seconds of each stage": [*seconds, ("total", f"{sum(took.values()):.1f}")],
        "More figures": others,
        "Versions": versions,
    }
    return {title: rows for title, rows in tables.items() if rows}
