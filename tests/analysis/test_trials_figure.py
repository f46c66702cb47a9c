"""The picture of all trials."""

import math

import pandas as pd

from samix.analysis.trials_figure import trials_figure

ROWS = [
    ("a", "sl", "one", 0, "finished", 90.0, 2.0),
    ("a", "sl", "one", 1, "finished", 94.0, 4.0),
    ("a", "sl", "two", 0, "failed: the loss is not finite", math.nan, math.nan),
    ("a", "sl", "two", 1, "finished", 80.0, 1.0),
    ("b", "ssl", "one", 0, "finished", 50.0, 3.0),
]
TRIALS = pd.DataFrame(
    ROWS, columns=["group", "host", "variant", "seed", "status", "top1", "seconds_per_epoch"]
).assign(backbone="r18")


def test_picture_shows_every_finished_trial():
    figure = trials_figure(TRIALS)
    assert [ax.get_title() for ax in figure.axes] == ["a on r18 (sl)", "b on r18 (ssl)"]
    points = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(value for values in points for value in values) == [80.0, 90.0, 94.0]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["two", "one"]  # the first variant on top
