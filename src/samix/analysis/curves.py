"""Curves of a training, and the confusion matrix at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure


def curves_figure(histories: Mapping[str, Sequence[Mapping[str, float]]], panels: Sequence[str]) -> Figure:
    """One panel per metric over epochs, one line per training.

    Args: histories, name of a training to its rows, each with "epoch"; panels, metric names.
    """
    figure = Figure(figsize=(3.6 * len(panels), 3.0), layout="constrained")
    for ax, metric in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, rows in histories.items():
            points = [(row["epoch"], row[metric]) for row in rows if metric in row]
            if points:
                marker = "o" if len(points) == 1 else None  # a line of one point cannot be seen
                ax.plot(*np.array(points).T, label=name, marker=marker)
        ax.set_title(metric)
        ax.set_xlabel("epoch")
        ax.grid(alpha=0.3)
        if len(histories) > 1 and ax.lines:
            ax.legend(fontsize=8)
    return figure


def confusion_figure(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Confusion matrix in percent of each true class; with numbers for at most 20 classes."""
    counts = np.array(matrix, dtype=float)
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(12.0, 2.5 + 0.42 * len(classes))
    figure = Figure(figsize=(side, side), layout="constrained")
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    if len(classes) <= 20:
        long = max(map(len, classes)) > 3
        ax.set_xticks(
            range(len(classes)), classes, rotation=45 if long else 0, ha="right" if long else "center"
        )
        ax.set_yticks(range(len(classes)), classes)
        for row, column in np.argwhere(share >= 0.5):
            value = share[row, column]
            colour = "white" if value > 55 else "black"
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=8)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title("Linear classifier, % of each true class")
    return figure
