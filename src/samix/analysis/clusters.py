"""Pictures of pseudo labels: how large the clusters are and what is in them."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from samix.core.random import generator_for
from samix.data.store import ImageStore

CLUSTERS, MEMBERS = 12, 10
_TILE, _TITLE, _MARGIN = 0.62, 0.45, 1.35  # inches: side of an image, height of the title, width of the names
_NARROWEST = 4.2  # inches: room for the title
_GAP = 0.03  # share of a tile left free on each side of an image


def cluster_sizes_figure(sizes: Tensor) -> go.Figure:
    """Bars of the clusters' sizes (C,), largest first, with the mean size as a line."""
    ordered, clusters = sizes.cpu().sort(descending=True, stable=True)
    images, count = int(sizes.sum()), len(sizes)
    figure = go.Figure()
    figure.add_bar(
        x=[str(cluster) for cluster in clusters.tolist()],
        y=ordered.tolist(),
        hovertemplate="cluster %{x}: %{y:,} images<extra></extra>",
        marker={"color": "#3b6fb6", "line": {"width": 0}},
    )
    figure.add_hline(
        y=images / count,
        line={"color": "#e08a3c", "dash": "dash"},
        annotation={"text": f"mean {images / count:,.1f}", "font": {"color": "#b8651b"}},
    )
    figure.update_layout(
        title=f"{images:,} images in {count} clusters of {ordered[-1]:,} to {ordered[0]:,}",
        template="plotly_white",
        xaxis={"title": "cluster, largest first", "type": "category"},
        yaxis={"title": "images", "rangemode": "tozero"},
        bargap=0.15,
        showlegend=False,
    )
    return figure


def cluster_sheet(store: ImageStore, pseudo_labels: Tensor, *, seed: int) -> Figure:
    """Up to MEMBERS random images in a row for each of up to CLUSTERS random clusters.

    Args: store of N images; pseudo_labels (N,); seed of the choice.
    """
    pseudo_labels = pseudo_labels.cpu()
    present, sizes = torch.unique(pseudo_labels, return_counts=True)
    chosen = _sample(len(present), CLUSTERS, seed, "clusters")
    rows, places = len(chosen), min(MEMBERS, int(sizes[chosen].max()))
    width, height = max(_MARGIN + places * _TILE + 0.1, _NARROWEST), rows * _TILE + _TITLE + 0.1
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    figure.text(
        0.12 / width, 1 - 0.22 / height, _title(rows, len(present)), va="center", size=11, weight="bold"
    )
    axes = figure.add_axes(
        (_MARGIN / width, 0.1 / height, places * _TILE / width, rows * _TILE / height),
        xlim=(0, places),
        ylim=(rows, 0),
    )
    axes.set_axis_off()
    for row, which in enumerate(chosen.tolist()):
        cluster, size = int(present[which]), int(sizes[which])
        axes.text(-0.15, row + 0.37, f"cluster {cluster}", ha="right", va="center", size=9)
        axes.text(-0.15, row + 0.66, f"{size:,} images", ha="right", va="center", size=7, color="0.4")
        positions = (pseudo_labels == cluster).nonzero().squeeze(1)
        shown = positions[_sample(size, MEMBERS, seed, "members", cluster)]
        for place, image in enumerate(_pixels(store, shown)):
            box = (place + _GAP, place + 1 - _GAP, row + 1 - _GAP, row + _GAP)
            axes.imshow(image, extent=box, interpolation="nearest", aspect="auto")
    axes.set(xlim=(0, places), ylim=(rows, 0))
    return figure


def _title(rows: int, present: int) -> str:
    return f"{f'{rows} of ' if rows < present else ''}{present} clusters, random images of each"


def _sample(n: int, most: int, seed: int, purpose: str, *numbers: int) -> Tensor:
    """Up to `most` of 0..n-1, at random, in ascending order."""
    return torch.randperm(n, generator=generator_for(seed, purpose, *numbers))[:most].sort().values


def _pixels(store: ImageStore, positions: Tensor) -> np.ndarray:
    pixels: np.ndarray = store.fetch(positions).cpu().permute(0, 2, 3, 1).numpy()
    return pixels
