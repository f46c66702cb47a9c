"""Schedules against their closed forms."""

import math

import pytest

from samix.core.schedules import annealed, ema_at

T = 1000


@pytest.mark.parametrize(
    ("schedule", "start", "quarter", "half"),
    [
        ("linear", 0.1, 0.075, 0.05),
        ("cosine", 0.1, 0.1 * (1 + math.sqrt(0.5)) / 2, 0.05),
        ("constant", 0.1, 0.1, 0.1),
    ],
)
def test_values(schedule, start, quarter, half):
    values = [annealed(schedule, 0.1, step, T) for step in (0, T // 4, T // 2)]
    assert values == pytest.approx([start, quarter, half])


def test_ends():
    assert annealed("linear", 0.1, T - 1, T) == pytest.approx(0.1 / T)
    assert annealed("linear", 0.1, T, T) == 0
    assert annealed("cosine", 0.1, T, T) == pytest.approx(0, abs=1e-12)


def test_compound_is_the_running_product():
    """The released code feeds the current value back as the base of the half-cosine."""
    value = 0.1
    for step in range(T):
        value *= (1 + math.cos(math.pi * step / T)) / 2
        assert annealed("cosine_compound", 0.1, step, T) == pytest.approx(value, abs=1e-12)


def test_compound_follows_its_approximation():
    total = 100_000
    for step in (500, 1000, 2000):
        want = 0.1 * math.exp(-(math.pi**2) * step**3 / (12 * total**2))
        assert annealed("cosine_compound", 0.1, step, total) == pytest.approx(want, rel=0.01)
    drop = round(1.07 * total ** (2 / 3))
    assert annealed("cosine_compound", 0.1, drop, total) == pytest.approx(0.1 / math.e, rel=0.02)


def ema_by_hand(step, total, start, end, first_share):
    """Constant, then the second part of a cosine that began at step 0."""
    if step < int(first_share * total):
        return start
    return end - (end - start) * 0.5 * (math.cos(math.pi * step / total) + 1)


@pytest.mark.parametrize("hold", [0.0, 0.1, 0.25, 1.0])
@pytest.mark.parametrize("end", [0.999999, 0.99996])
def test_ema_of_every_step(hold, end):
    found = [ema_at(0.999, end, hold, step, T) for step in range(T)]
    assert found == pytest.approx(
        [ema_by_hand(step, T, 0.999, end, hold) for step in range(T)], abs=1e-15, rel=0
    )
    assert all(a <= b for a, b in zip(found[:-1], found[1:], strict=True))


@pytest.mark.parametrize(("hold", "jump"), [(0.1, 0.024), (0.25, 0.146)])
def test_ema_jumps_when_its_hold_ends(hold, jump):
    """The cosine is not shifted by the hold (published values of the jump)."""
    start, end, first = 0.999, 0.99999, round(hold * T)
    before, after = (ema_at(start, end, hold, step, T) for step in (first - 1, first))
    assert before == start
    assert (after - before) / (end - start) == pytest.approx(jump, abs=5e-4)


def test_ema_without_an_end_stays():
    assert {ema_at(0.9, None, 0.1, step, T) for step in range(T)} == {0.9}
    assert {ema_at(1.0, 1.0, 0.1, step, T) for step in range(T)} == {1.0}


def test_hold_is_counted_in_whole_steps():
    """10 steps, 25 %: two of them."""
    found = [ema_at(0.0, 1.0, 0.25, step, 10) for step in range(4)]
    assert found[:2] == [0.0, 0.0] and 0 < found[2] < found[3]
