"""Detections and ground truth drawn over the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

TRUTH, FOUND = "#2ecc71", "#ff5a36"
_TILE, _TITLE, _COLUMNS = 2.4, 0.45, 4  # inches, inches, pictures side by side


def detections_figure(
    images: Sequence[Tensor],
    predictions: Sequence[Mapping[str, Any]],
    targets: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    threshold: float = 0.5,
) -> Figure:
    """Ground truth in green and detections with a score >= threshold in red, with class and score.

    Args: images, uint8 (3, H, W) of any size; predictions, one per image, with "boxes" (n, 4) as
    (x1, y1, x2, y2) in pixels, "labels" 1..K and "scores" (n,), tensors or lists; targets likewise without
    scores; classes, label k is classes[k - 1].
    """
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    width, height = columns * _TILE, rows * _TILE + _TITLE
    figure = Figure(figsize=(width, height), dpi=150)
    FigureCanvasAgg(figure)
    figure.text(0.02, 1 - 0.25 / height, "ground truth", color=TRUTH, va="center", weight="bold", size=9)
    note = f"detections, score ≥ {threshold:g}"
    figure.text(0.98, 1 - 0.25 / height, note, color=FOUND, va="center", ha="right", weight="bold", size=9)
    for number, (image, found, truth) in enumerate(zip(images, predictions, targets, strict=True)):
        row, column = divmod(number, columns)
        bottom = height - _TITLE - (row + 1) * _TILE
        axes = figure.add_axes(
            (column / columns + 0.004, bottom / height, 1 / columns - 0.008, (_TILE - 0.06) / height)
        )
        axes.imshow(image.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
        axes.set_axis_off()
        _draw_truth(axes, truth, classes)
        _draw_found(axes, found, classes, threshold)
    return figure


def _draw_truth(axes: Axes, truth: Mapping[str, Any], classes: Sequence[str]) -> None:
    for box, label in zip(_boxes(truth), torch.as_tensor(truth["labels"]).tolist(), strict=True):
        _draw_box(axes, box, TRUTH)
        # below its box: the detection's own text is above
        _write(axes, box[0], box[3], classes[int(label) - 1], TRUTH, "top")


def _draw_found(axes: Axes, found: Mapping[str, Any], classes: Sequence[str], threshold: float) -> None:
    labels, scores = (torch.as_tensor(found[name]).tolist() for name in ("labels", "scores"))
    for box, label, score in zip(_boxes(found), labels, scores, strict=True):
        if score >= threshold:
            _draw_box(axes, box, FOUND)
            _write(axes, box[0], box[1], f"{classes[int(label) - 1]} {score:.2f}", FOUND, "bottom")


def _boxes(content: Mapping[str, Any]) -> list[list[float]]:
    boxes: list[list[float]] = torch.as_tensor(content["boxes"]).reshape(-1, 4).tolist()
    return boxes


def _draw_box(axes: Axes, box: Sequence[float], colour: str) -> None:
    x1, y1, x2, y2 = box
    # pixel centres are at whole numbers on the axes, boxes count from the picture's corner
    corner = (x1 - 0.5, y1 - 0.5)
    axes.add_patch(Rectangle(corner, x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.2))


def _write(axes: Axes, x: float, y: float, text: str, colour: str, side: str) -> None:
    ground = {"facecolor": "black", "alpha": 0.55, "pad": 0.8, "linewidth": 0}
    axes.text(x, y, text, color=colour, size=6, va=side, ha="left", bbox=ground, clip_on=True)
