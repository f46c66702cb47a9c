"""Curves and the confusion matrix show the numbers they are given."""

import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from samix.analysis.curves import confusion_figure, curves_figure

HISTORIES = {
    "trained": [
        {"epoch": 0.5, "loss": 3.0},
        {"epoch": 1.0, "loss": 2.0, "top1": 40.0},
        {"epoch": 2.0, "loss": 1.0, "top1": 60.0},
    ],
    "untrained": [{"epoch": 1.0, "loss": 2.5}],
}


def lines(ax):
    return {line.get_label(): line.get_xydata().tolist() for line in ax.lines}


def test_a_panel_a_metric_and_a_line_a_training():
    figure = curves_figure(HISTORIES, ["loss", "top1"])
    loss, top1 = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["loss", "top1"]
    assert {ax.get_xlabel() for ax in figure.axes} == {"epoch"}
    assert lines(loss) == {"trained": [[0.5, 3], [1, 2], [2, 1]], "untrained": [[1, 2.5]]}
    assert lines(top1) == {"trained": [[1, 40], [2, 60]]}  # rows without the metric are left out
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["trained", "untrained"]


def test_one_training_needs_no_legend_and_an_unknown_metric_no_line():
    figure = curves_figure({"ODC": HISTORIES["trained"]}, ["loss", "nmi"])
    assert len(figure.axes) == 2 and all(ax.get_legend() is None for ax in figure.axes)
    assert lines(figure.axes[1]) == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curves_figure(HISTORIES, ["nmi"]).canvas.draw()


def test_a_single_point_is_visible():
    (ax,) = curves_figure(HISTORIES, ["loss"]).axes
    assert next(line for line in ax.lines if line.get_label() == "untrained").get_marker() != "None"


def test_confusion_is_in_percent_of_the_true_class():
    figure = confusion_figure([[6, 2, 0], [0, 0, 0], [1, 1, 398]], ["cat", "dog", "eel"])
    (ax,) = figure.axes
    expected = [[75, 25, 0], [0, 0, 0], [0.25, 0.25, 99.5]]
    np.testing.assert_allclose(ax.images[0].get_array(), expected)
    texts = {(t.get_position()): (t.get_text(), to_rgb(t.get_color())) for t in ax.texts}
    white, black = (1, 1, 1), (0, 0, 0)
    assert texts == {(0, 0): ("75", white), (1, 0): ("25", black), (2, 2): ("100", white)}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["cat", "dog", "eel"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat", "dog", "eel"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize(("classes", "written"), [(20, True), (21, False), (100, False)])
def test_numbers_only_where_they_can_be_read(classes, written):
    figure = confusion_figure((np.eye(classes, dtype=int) * 5).tolist(), [f"c{i}" for i in range(classes)])
    assert (len(figure.axes[0].texts) == classes) is written
    assert figure.get_figwidth() <= 12
