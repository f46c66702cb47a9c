"""Progress bar with speed and time left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed or 0.0
        return Text(f"{speed * task.fields['images']:.0f} img/s", style="progress.data.speed")


@contextmanager
def progress_bar(label: str, total: int, done: int, *, images: int, show: bool) -> Iterator[Progress]:
    """A bar of `total` steps of which `done` are finished, with `images` per step; advance its only task.

    If the output is not a terminal, one line is printed at the end.
    """
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=get_console(), disable=not show) as progress:
        progress.add_task(label, total=total, completed=done, images=images, note="")
        yield progress
