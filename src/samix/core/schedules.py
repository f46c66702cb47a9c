"""Schedules as pure functions of the step, without a state to save."""

from __future__ import annotations

import math
from typing import Literal

BetaSchedule = Literal["linear", "cosine", "constant", "cosine_compound"]


def annealed(schedule: BetaSchedule, start: float, step: int, total: int) -> float:
    """A weight at a 0-based step, such as beta of the mask loss (SAMix, mask loss).

    linear: start -> 0 over training (paper, default); cosine: plain half-cosine; constant; cosine_compound:
    the running product that the released code computes.
    """
    if schedule == "linear":
        return start * (1 - step / total)
    if schedule == "cosine":
        return start * _half_cosine(step, total)
    if schedule == "cosine_compound":
        return start * math.prod(_half_cosine(t, total) for t in range(step + 1))
    return start


def ema_at(start: float, end: float | None, hold: float, step: int, total: int) -> float:
    """m of the momentum network at a 0-based step (SAMix, momentum schedule).

    start for the first share `hold` of training, then end - (end - start) * (cos(pi t / T) + 1) / 2, not
    shifted by the hold, so that m jumps there. end None: always start.
    """
    if end is None or step < math.floor(hold * total):
        return start
    return end - (end - start) * _half_cosine(step, total)


def _half_cosine(step: int, total: int) -> float:
    return (1 + math.cos(math.pi * step / total)) / 2
