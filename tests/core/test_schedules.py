"""Schedules against their closed forms."""

import math

import pytest

from samix.core.schedules import annealed

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
