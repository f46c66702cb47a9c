"""Tables and pictures of trials that are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

KEYS = ["group", "host", "variant"]


def summary_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a variant, in the order of the trials.

    Args: trials, one row a training with group, host, variant, seed, status, top1 (%), seconds_per_epoch.
    Returns: group, host, variant, top1_mean, top1_std (sample standard deviation, NaN for one seed), trials
    that finished, failed, seconds_per_epoch (mean).
    """
    groups = trials.groupby(KEYS, sort=False)
    finished = trials["status"].eq("finished").groupby([trials[key] for key in KEYS], sort=False)
    table = pd.DataFrame(
        {
            "top1_mean": groups["top1"].mean(),
            "top1_std": groups["top1"].std(),
            "trials": finished.sum(),
            "failed": finished.count() - finished.sum(),
            "seconds_per_epoch": groups["seconds_per_epoch"].mean(),
        }
    )
    return table.reset_index()


def summary_markdown(table: pd.DataFrame) -> str:
    """The summary as Markdown, a table a group."""
    parts = []
    for (group, host), rows in table.groupby(["group", "host"], sort=False):
        lines = [_line(row) for row in rows.to_dict("records")]
        head = ["| variant | top-1 (%) | trials | seconds an epoch |", "|---|---:|---:|---:|"]
        parts.append("\n".join([f"## {group} ({host})", "", *head, *lines]))
    return "\n\n".join(parts) + "\n"


def trials_figure(trials: pd.DataFrame) -> Figure:
    """Top-1 of every trial (points) and the mean of each variant (line), a panel a group."""
    done = trials[trials["status"] == "finished"]
    groups = list(done.groupby(["group", "host"], sort=False))
    heights = [1.0 + 0.35 * rows["variant"].nunique() for _, rows in groups]
    figure = Figure(figsize=(7.5, sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, ((group, host), rows) in zip(panels, groups, strict=True):
        names = list(dict.fromkeys(rows["variant"]))[::-1]
        for place, name in enumerate(names):
            values = rows.loc[rows["variant"] == name, "top1"]
            ax.plot(values, [place] * len(values), "o", color="tab:blue", alpha=0.6, markersize=5)
            ax.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set_title(f"{group} ({host})", fontsize=10)
        ax.grid(alpha=0.3, axis="x")
    panels[-1].set_xlabel("top-1 (%): trials and their mean")
    return figure


def _line(row: Mapping[Any, Any]) -> str:
    trials = f"{row['trials']} ({row['failed']} failed)" if row["failed"] else row["trials"]
    top1 = spread(row["top1_mean"], row["top1_std"])
    return f"| {row['variant']} | {top1} | {trials} | {row['seconds_per_epoch']:.1f} |"


def spread(mean: float, std: float, sign: str = "") -> str:
    """Mean and standard deviation; "+" as sign shows that of a gain. "-" where there is no figure."""
    if pd.isna(mean):
        return "-"
    return f"{mean:{sign}.2f}" if pd.isna(std) else f"{mean:{sign}.2f} ± {std:.2f}"
