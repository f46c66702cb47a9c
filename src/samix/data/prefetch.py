"""Reading ahead: what the next steps will ask for is decoded while the present one runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from torch import Tensor

from samix.core.step import StepContext

DEPTH = 2
"""Steps that are read ahead: one hides the reading, one more a batch that takes longer."""


class Prefetch:
    """Calls `read` for the next steps in the background.

    What a step reads is a function of its context, so nothing has to be remembered to resume: after a jump
    the reading simply starts at the new step. An error appears at the step whose images it hit.

    Args: read, positions (n,) to images, which may be called from another thread; positions of a context.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], positions: Callable[[StepContext], Tensor]) -> None:
        self._read = read
        self._positions = positions
        # one call at a time, in the order of the steps; a reader has threads of its own
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._pending: dict[StepContext, Future[Tensor]] = {}

    def fetch(self, ctx: StepContext) -> Tensor:
        """What `read` gives for ctx.step; starts to read for the steps after it, if training has more."""
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
    """What `read` gives for each of `parts`, positions (n,), in order; the next DEPTH are read meanwhile.

    An error appears at the part that it hit. Nothing more is read once the iterator is closed.
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
