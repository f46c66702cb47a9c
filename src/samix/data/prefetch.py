"""Reading ahead: images of the next steps are decoded while the present step runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from torch import Tensor

from samix.core.step import StepContext

DEPTH = 2
"""Number of steps that are read ahead: one hides the reading, the second hides slower batches."""


class Prefetch:
    """Calls `read` for the next steps in the background.

    The images of a step are a function of its context, so a resumed run needs no saved state: after a jump,
    reading starts at the new step. An error is raised at the step whose images it concerns.

    Args: read, from positions (n,) to images, called in another thread; positions, from a context to
    positions (n,).
    """

    def __init__(self, read: Callable[[Tensor], Tensor], positions: Callable[[StepContext], Tensor]) -> None:
        self._read = read
        self._positions = positions
        # one call at a time, in the order of the steps; a reader has threads of its own
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._pending: dict[StepContext, Future[Tensor]] = {}

    def fetch(self, ctx: StepContext) -> Tensor:
        """Result of `read` for ctx.step; starts to read for the following steps, if there are any."""
        last = min(ctx.step + DEPTH, ctx.total_steps - 1)
        # the epoch follows from the step
        wanted = [replace(ctx, epoch=0, step=step) for step in (ctx.step, *range(ctx.step + 1, last + 1))]
        for left in self._pending.keys() - set(wanted):
            self._pending.pop(left).cancel()
        for key in wanted:
            if key not in self._pending:
                self._pending[key] = self._pool.submit(self._read, self._positions(key))
        return self._pending.pop(wanted[0]).result()


def read_ahead(read: Callable[[Tensor], Tensor], parts: Iterable[Tensor]) -> Iterator[Tensor]:
    """Results of `read` for each of `parts`, positions (n,), in order; the next DEPTH are read meanwhile.

    An error is raised at the part that it concerns. Reading stops when the iterator is closed.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    pending: deque[Future[Tensor]] = deque()
    try:
        for part in parts:
            pending.append(pool.submit(read, part))
            if len(pending) > DEPTH:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
