"""The learning rate of every step, from the history, against its formula."""

import math

import pytest

from helpers.toys import PLAIN, Line, toy_job, train

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


@pytest.mark.parametrize("warmup", [0.0, 0.4])
def test_a_rate_by_the_epoch_is_that_of_the_epochs_first_step(tmp_path, warmup):
    """5 epochs of 4 steps: constant within an epoch, equal to the curve of the steps at its start."""
    options = {"schedule": "cosine", "min_lr": 0.1, "warmup": warmup}
    every_step = rates(tmp_path / "steps", **options)
    by_epoch = rates(tmp_path / "epochs", per_epoch=True, **options)
    assert by_epoch == [every_step[step // 4 * 4] for step in range(STEPS)]
    assert len(set(by_epoch)) == 5


def test_multistep_by_the_epoch_drops_where_an_epoch_begins(tmp_path):
    """55 % of 20 steps is step 11, in the third epoch: the drop waits for the fourth."""
    expected = [0.4] * 12 + [0.04] * 8
    assert rates(tmp_path, schedule="multistep", milestones=(0.55,), per_epoch=True) == pytest.approx(
        expected
    )
