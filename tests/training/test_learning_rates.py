"""The learning rate of every step, from the history, against its formula."""

import math

import pytest
from toys import PLAIN, Line, toy_job, train

STEPS = 20


def rates(tmp_path, **optimizer):
    config = PLAIN.model_copy(update={"lr": 0.4, **optimizer})
    return [row["lr/line"] for row in train(toy_job(tmp_path), Line(config), epochs=STEPS // 4)]


def test_cosine_falls_from_lr_to_min_lr(tmp_path):
    expected = [0.1 + 0.3 * (1 + math.cos(math.pi * t / STEPS)) / 2 for t in range(STEPS)]
    assert rates(tmp_path, schedule="cosine", min_lr=0.1) == pytest.approx(expected)


def test_multistep_drops_at_its_shares(tmp_path):
    expected = [0.4] * 12 + [0.04] * 4 + [0.004] * 4
    assert rates(tmp_path, schedule="multistep", milestones=(0.6, 0.8)) == pytest.approx(expected)


def test_constant_stays(tmp_path):
    assert rates(tmp_path, schedule="constant") == [0.4] * STEPS


@pytest.mark.parametrize("schedule", ["cosine", "constant", "multistep"])
def test_warm_up_is_linear_and_then_the_schedule_goes_on(tmp_path, schedule):
    found = rates(tmp_path / "warm", schedule=schedule, warmup=0.25)
    assert found[:5] == pytest.approx([0.4 * t / 5 for t in range(5)])
    assert found[5:] == pytest.approx(rates(tmp_path / "cold", schedule=schedule)[5:])
