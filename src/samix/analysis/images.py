"""Pictures of a data set: a contact sheet of its classes and a chart of its class sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from samix.data.store import ImageStore

CLASSES, PER_CLASS = 20, 8
_LONGEST_NAME = 22
_TILE, _TITLE, _CHARACTER = 0.62, 0.45, 0.085  # inches: image, title's height, letter
_ROWS = 10  # classes below each other before a second column starts


def contact_sheet(store: ImageStore, card: Mapping[str, Any]) -> Figure:
    """Up to PER_CLASS images in a row for each of up to CLASSES classes.

    Classes are spread over all of them and images over their class, so the sheet is the same every time.
    """
    labels = store.labels.cpu().numpy()
    present, counts = np.unique(labels, return_counts=True)
    shown = _spread(present, CLASSES)
    places = min(PER_CLASS, int(counts.max()))
    names = [_short(card["classes"][label]) for label in shown]
    margin = 0.3 + _CHARACTER * max(map(len, names))
    columns = -(-len(shown) // _ROWS)
    rows, title = -(-len(shown) // columns), _title(card, len(shown))
    width = max(columns * (margin + places * _TILE), _CHARACTER * 1.15 * len(title)) + 0.15
    height = rows * _TILE + _TITLE + 0.1
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    figure.text(0.12 / width, 1 - 0.22 / height, title, va="center", size=11, weight="bold")
    for number, (label, name) in enumerate(zip(shown, names, strict=True)):
        column, row = divmod(number, rows)
        left = column * (margin + places * _TILE) + margin
        bottom = height - _TITLE - (row + 1) * _TILE
        axes = figure.add_axes((left / width, bottom / height, places * _TILE / width, _TILE / height))
        positions = _spread(np.flatnonzero(labels == label), PER_CLASS)
        _draw_strip(axes, store.fetch(torch.from_numpy(positions)), places)
        axes.text(-0.12, 0.5, name, ha="right", va="center", size=9)
    return figure


def class_counts_figure(class_counts: pd.DataFrame) -> go.Figure:
    """Bars of training and test images per class, from columns class_name, train and test."""
    figure = go.Figure()
    for split, colour in (("train", "#3b6fb6"), ("test", "#e08a3c")):
        name = f"{split} ({class_counts[split].sum():,})"
        figure.add_bar(x=class_counts["class_name"], y=class_counts[split], name=name, marker_color=colour)
    figure.update_layout(
        title=f"Images in each of {len(class_counts)} classes",
        barmode="group",
        template="plotly_white",
        yaxis_title="images",
        # Names such as the digits' must stay names, in the order of the labels.
        xaxis={"type": "category", "tickangle": -45 if len(class_counts) > 12 else 0},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
        bargap=0.15,
    )
    return figure


def _draw_strip(axes: Axes, images: Tensor, places: int) -> None:
    """Draw uint8 (n, 3, S, S) side by side on axes that are `places` images wide, with a small gap."""
    for place, image in enumerate(images.cpu().permute(0, 2, 3, 1).numpy()):
        axes.imshow(image, extent=(place + 0.03, place + 0.97, 0.03, 0.97), interpolation="nearest")
    axes.set(xlim=(0, places), ylim=(0, 1))
    axes.set_axis_off()


def _title(card: Mapping[str, Any], shown: int) -> str:
    counts, classes, size = card["counts"], len(card["classes"]), card["image_size"]
    part = f"{classes} classes" if shown == classes else f"{shown} of {classes} classes"
    total = f"{counts['train']:,} training and {counts['test']:,} test images"
    return f"{card['name']}: {part}; {total}, {size} x {size} pixels"


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of `values`, evenly spread from the first to the last."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(np.int64)]


def _short(name: str) -> str:
    name = name.replace("_", " ")
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
