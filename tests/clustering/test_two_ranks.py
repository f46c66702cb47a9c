"""Two processes and one compute the same pseudo labels from the same global batches."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("two_ranks.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    outputs = [folder / f"rank{rank}.pt" for rank in range(2)]
    processes = [
        subprocess.Popen([sys.executable, SCRIPT, str(rank), folder / "meeting", out])
        for rank, out in enumerate(outputs)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    return [torch.load(out) for out in outputs]


@pytest.fixture(scope="module")
def script():
    scope: dict = {"__name__": "two_ranks"}
    exec(compile(SCRIPT.read_text(), SCRIPT, "exec"), scope)
    return scope


@pytest.fixture(scope="module")
def alone(script):
    return script["train"]()


@pytest.mark.parametrize("key", ["labels", "features", "centroids", "ratios"])
def test_memory_equals_that_of_one_process(ranks, alone, key):
    assert torch.equal(ranks[0]["state"][key], ranks[1]["state"][key])
    assert torch.equal(ranks[0]["state"][key], alone[key])


def test_labels_from_elsewhere_are_those_of_rank_zero(ranks, script):
    for key, want in script["take_over"]().items():
        assert torch.equal(ranks[0]["taken"][key], want) and torch.equal(ranks[1]["taken"][key], want)


def test_the_comparison_is_not_of_frozen_labels(alone):
    assert alone["ratios"].min() > 0.1


def test_labels_that_drifted_apart_are_noticed(ranks):
    assert ranks[0]["noticed"] and ranks[1]["noticed"]
