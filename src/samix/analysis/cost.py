"""Accuracy against cost: one point per variant, labelled so that the names can be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_SIZE = 8
_RADII = (9, 16, 26, 40, 56, 75, 95)
_POINT, _NAME, _BAR, _OUTSIDE, _FAR = 12.0, 8.0, 1.0, 100.0, 3.0
"""What it costs to cover a square point of a marker, of another name or of an error bar, to leave the axes,
and to be a point away."""


def cost_figure(table: pd.DataFrame) -> Figure:
    """Top-1, mean and standard deviation, over the cost of an epoch; a panel per backbone and host.

    Args: table as comparison_table makes it. The cost is relative to the plain row if there is one.
    """
    done = table[table["trials"] > 0]
    relative = bool(done["relative_cost"].notna().all())
    panels = list(done.groupby(["backbone", "host"], sort=False))
    figure = Figure(figsize=(8.5, 5.2 * max(1, len(panels))), layout="constrained")
    FigureCanvasAgg(figure)  # which measures texts
    axes = figure.subplots(max(1, len(panels)), 1, squeeze=False)[:, 0]
    for ax, ((backbone, host), rows) in zip(axes, panels, strict=False):
        x = rows["relative_cost" if relative else "seconds_per_epoch"].to_numpy(dtype=float)
        _points(ax, x, rows)
        ax.set_title(f"{backbone} ({host})", fontsize=11)
        ax.set_xlabel("time of an epoch, plain training = 1" if relative else "seconds per epoch")
        ax.set_ylabel("top-1 (%), mean ± standard deviation of seeds")
    figure.draw_without_rendering()
    for ax, (_, rows) in zip(axes, panels, strict=False):
        x = rows["relative_cost" if relative else "seconds_per_epoch"].to_numpy(dtype=float)
        _name_points(ax, x, rows)
    return figure


def _points(ax: Axes, x: np.ndarray, rows: pd.DataFrame) -> None:
    y, spread = rows["top1_mean"].to_numpy(dtype=float), rows["top1_std"].fillna(0).to_numpy(dtype=float)
    plain = rows["policy"].eq("none").to_numpy()
    ax.errorbar(x, y, yerr=spread, fmt="none", ecolor="lightsteelblue", elinewidth=1.2, zorder=1)
    ax.scatter(x[~plain], y[~plain], s=26, color="tab:blue", zorder=3)
    ax.scatter(x[plain], y[plain], s=40, color="black", marker="s", zorder=3)
    for level in y[plain]:
        ax.axhline(level, color="black", linewidth=0.8, linestyle=":", zorder=0)
    if x.max() > 2.5 * x.min():
        ax.set_xscale("log")
        ticks = [
            tick
            for tick in (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 20, 30, 50)
            if x.min() / 1.2 < tick < x.max() * 1.2
        ]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_xticks([], minor=True)
    ax.margins(x=0.2, y=0.1)
    ax.grid(alpha=0.3)


def _name_points(ax: Axes, x: np.ndarray, rows: pd.DataFrame) -> None:
    """Names beside their points, one after the other where they cover least; a line where they are far."""
    scale = ax.figure.dpi / 72
    y, spread = rows["top1_mean"].to_numpy(dtype=float), rows["top1_std"].fillna(0).to_numpy(dtype=float)
    centres = ax.transData.transform(np.stack([x, y], 1)) / scale
    ends = [ax.transData.transform(np.stack([x, y + sign * spread], 1)) / scale for sign in (-1, 1)]
    markers = [Bbox.from_bounds(cx - 7, cy - 7, 14, 14) for cx, cy in centres]
    bars = [Bbox.from_extents(lo[0] - 1, lo[1], lo[0] + 1, hi[1]) for lo, hi in zip(*ends, strict=True)]
    inside = Bbox(ax.get_window_extent().get_points() / scale)
    placed: list[Bbox] = []
    for place in np.argsort(-y):  # from the top, so that lines to the names do not cross
        name, centre = rows["variant"].iloc[place], centres[place]
        probe = ax.text(0.5, 0.5, str(name), fontsize=_SIZE, transform=ax.transAxes)
        extent = probe.get_window_extent()
        size = (extent.width / scale, extent.height / scale)
        probe.remove()
        radius, box = min(
            _places(centre, size), key=lambda found: _badness(found, (markers, placed, bars), inside)
        )
        placed.append(box)
        _write(ax, str(name), centre, box, radius)


def _places(centre: Sequence[float], size: tuple[float, float]) -> Iterator[tuple[float, Bbox]]:
    """Boxes around a point, near ones first, in points (1/72 inch)."""
    width, height = size
    for radius in _RADII:
        for step in range(16):
            angle = 2 * math.pi * step / 16
            dx, dy = math.cos(angle), math.sin(angle)
            left = centre[0] + radius * dx - width * (1 - dx) / 2
            low = centre[1] + radius * dy - height * (1 - dy) / 2
            yield radius, Bbox.from_bounds(left, low, width, height)


def _badness(
    place: tuple[float, Bbox], taken: tuple[list[Bbox], list[Bbox], list[Bbox]], inside: Bbox
) -> float:
    radius, box = place
    covered = [sum(_shared(box, other) for other in boxes) for boxes in taken]
    outside = box.width * box.height - _shared(box, inside)
    return _POINT * covered[0] + _NAME * covered[1] + _BAR * covered[2] + _OUTSIDE * outside + _FAR * radius


def _shared(one: Bbox, other: Bbox) -> float:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width * height if width > 0 and height > 0 else 0.0


def _edge(centre: Sequence[float], box: Bbox) -> tuple[float, float]:
    """Where on the box, in shares of its sides, the line to the point begins."""
    x, y = ((at - low) / side for at, low, side in zip(centre, box.min, box.size, strict=True))
    return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))


def _write(ax: Axes, name: str, centre: Sequence[float], box: Bbox, radius: float) -> Annotation:
    line = {"arrowstyle": "-", "color": "grey", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
    x, y = ax.transData.inverted().transform(np.asarray(centre) * ax.figure.dpi / 72)
    note = ax.annotate(
        name,
        (x, y),
        xytext=(box.x0 - centre[0], box.y0 - centre[1]),
        textcoords="offset points",
        fontsize=_SIZE,
        zorder=4,
        arrowprops=line | {"relpos": _edge(centre, box)} if radius > _RADII[0] else None,
    )
    note.set_in_layout(False)
    return note
