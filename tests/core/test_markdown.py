"""Markdown tables."""

from samix.core.markdown import markdown


def test_columns_line_up():
    assert markdown(("a", "name"), [("1", "x"), ("22", "y")]).splitlines() == [
        "| a  | name |",
        "| -- | ---- |",
        "| 1  | x    |",
        "| 22 | y    |",
    ]
