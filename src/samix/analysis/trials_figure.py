"""The accuracies of all trials of a comparison as a picture."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

_PANEL = ["backbone", "host", "group"]


def trials_figure(trials: pd.DataFrame) -> Figure:
    """Top-1 of every trial (points) and the mean of each variant (line); a panel per backbone, host and
    group.
    """
    done = trials[trials["status"] == "finished"]
    groups = list(done.groupby(_PANEL, sort=False))
    heights = [1.0 + 0.35 * rows["variant"].nunique() for _, rows in groups]
    figure = Figure(figsize=(7.5, sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, ((backbone, host, group), rows) in zip(panels, groups, strict=True):
        names = list(dict.fromkeys(rows["variant"]))[::-1]
        for place, name in enumerate(names):
            values = rows.loc[rows["variant"] == name, "top1"]
            ax.plot(values, [place] * len(values), "o", color="tab:blue", alpha=0.6, markersize=5)
            ax.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set_title(f"{group} on {backbone} ({host})" if group else f"{backbone} ({host})", fontsize=10)
        ax.grid(alpha=0.3, axis="x")
    panels[-1].set_xlabel("top-1 (%): trials and their mean")
    return figure
