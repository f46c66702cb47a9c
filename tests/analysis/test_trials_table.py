"""Tables and pictures of trials."""

import math

import pandas as pd
import pytest

from samix.analysis.trials import summary_markdown, summary_table, trials_figure

ROWS = [
    ("a", "sl", "one", 0, "finished", 90.0, 2.0),
    ("a", "sl", "one", 1, "finished", 94.0, 4.0),
    ("a", "sl", "two", 0, "failed: the loss is not finite", math.nan, math.nan),
    ("a", "sl", "two", 1, "finished", 80.0, 1.0),
    ("b", "ssl", "one", 0, "finished", 50.0, 3.0),
]
TRIALS = pd.DataFrame(
    ROWS, columns=["group", "host", "variant", "seed", "status", "top1", "seconds_per_epoch"]
)


def test_mean_deviation_and_failures():
    table = summary_table(TRIALS)
    assert list(zip(table["group"], table["variant"], strict=True)) == [
        ("a", "one"),
        ("a", "two"),
        ("b", "one"),
    ]
    assert table["top1_mean"].tolist() == [92.0, 80.0, 50.0]
    assert table["top1_std"][0] == pytest.approx(math.sqrt(8))  # of a sample
    assert table["top1_std"][1:].isna().all()
    assert table["trials"].tolist() == [2, 1, 1] and table["failed"].tolist() == [0, 1, 0]
    assert table["seconds_per_epoch"].tolist() == [3.0, 1.0, 3.0]


def test_markdown_has_a_table_a_group():
    text = summary_markdown(summary_table(TRIALS))
    assert text.count("## ") == 2 and "## b (ssl)" in text
    assert "| one | 92.00 ± 2.83 | 2 | 3.0 |" in text
    assert "| two | 80.00 | 1 (1 failed) | 1.0 |" in text


def test_picture_shows_every_finished_trial():
    figure = trials_figure(TRIALS)
    assert [ax.get_title() for ax in figure.axes] == ["a (sl)", "b (ssl)"]
    points = [line.get_xdata() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(value for values in points for value in values) == [80.0, 90.0, 94.0]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["two", "one"]  # the first variant on top
