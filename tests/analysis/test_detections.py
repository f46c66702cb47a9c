"""Contents of the picture of detections."""

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from samix.analysis.detections import FOUND, TRUTH, detections_figure

CLASSES = ["cat", "dog"]
TARGETS = [{"boxes": torch.tensor([[2.0, 3, 12, 23]]), "labels": torch.tensor([1])}] * 5
FOUND_ROW = {"boxes": [[1.0, 2, 10, 20], [0, 0, 5, 5]], "labels": [2, 1], "scores": [0.9, 0.3]}
PREDICTIONS = [FOUND_ROW, {"boxes": [], "labels": [], "scores": []}, FOUND_ROW, FOUND_ROW, FOUND_ROW]


@pytest.fixture
def figure() -> Figure:
    images = [torch.full((3, 30, 20 + i), 40 * i, dtype=torch.uint8) for i in range(5)]
    return detections_figure(images, PREDICTIONS, TARGETS, CLASSES, threshold=0.5)


def boxes(axes, colour):
    return [p for p in axes.patches if to_hex(p.get_edgecolor()) == colour]


def test_one_tile_a_picture(figure):
    assert [axes.get_images()[0].get_array().shape for axes in figure.axes] == [
        (30, 20 + i, 3) for i in range(5)
    ]
    tops = [round(axes.get_position().y0, 6) for axes in figure.axes]
    assert len(set(tops[:4])) == 1 and tops[4] < tops[0]


def test_truth_and_confident_detections_are_drawn_where_they_are(figure):
    axes = figure.axes[0]
    (truth,), (found,) = boxes(axes, TRUTH), boxes(axes, FOUND)
    assert (truth.get_xy(), truth.get_width(), truth.get_height()) == ((1.5, 2.5), 10, 20)
    assert (found.get_xy(), found.get_width(), found.get_height()) == ((0.5, 1.5), 9, 18)
    assert [t.get_text() for t in axes.texts] == ["cat", "dog 0.90"]


def test_pictures_without_detections_show_the_truth(figure):
    axes = figure.axes[1]
    assert boxes(axes, FOUND) == [] and len(boxes(axes, TRUTH)) == 1


def test_numbers_of_pictures_must_agree():
    with pytest.raises(ValueError):
        detections_figure([torch.zeros(3, 4, 4, dtype=torch.uint8)], [], TARGETS[:1], CLASSES)
