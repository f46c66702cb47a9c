"""Ctrl-C and SIGTERM as an ordinary exception, so that Kedro's error hooks close what is open."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A run stopped from outside. An Exception, since Kedro's error hooks see nothing else."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted at the first SIGINT or SIGTERM in the block; a second one acts as usual.

    Outside the main thread, where Python handles no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def interrupt(signum: int, _: FrameType | None) -> None:
        restore()
        raise Interrupted(signum)

    for number in _SIGNALS:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        restore()


def signal_behind(error: BaseException | None) -> int | None:
    """Number of the signal that an error, or one that it was raised from, is due to; else None."""
    while error is not None:
        if isinstance(error, Interrupted):
            return error.signum
        if isinstance(error, KeyboardInterrupt):
            return signal.SIGINT
        # torch elastic replaces the handlers while its workers run; named, since torch may not be loaded
        if type(error).__name__ == "SignalException":
            return int(getattr(error, "sigval", signal.SIGTERM))
        error = error.__cause__
    return None
