"""Random streams of a step that ranks share, and those that differ by rank."""

import dataclasses

import pytest
import torch

from samix.core.random import generator_for, numpy_generator_for
from samix.core.step import StepContext

HERE = StepContext(seed=3, step=5, total_steps=10, epoch=1, rank=1, world_size=2)


def draws(ctx):
    return {
        "own": torch.rand(3, generator=ctx.generator("a")).tolist(),
        "shared": torch.rand(3, generator=ctx.shared_generator("a")).tolist(),
        "scalar": ctx.numpy_generator("a").random(3).tolist(),
        "shared scalar": ctx.shared_numpy_generator("a").random(3).tolist(),
    }


def test_streams_are_those_of_seed_purpose_step_and_rank():
    assert draws(HERE) == {
        "own": torch.rand(3, generator=generator_for(3, "a", 5, 1)).tolist(),
        "shared": torch.rand(3, generator=generator_for(3, "a", 5)).tolist(),
        "scalar": numpy_generator_for(3, "a", 5, 1).random(3).tolist(),
        "shared scalar": numpy_generator_for(3, "a", 5).random(3).tolist(),
    }


def test_ranks_share_the_shared_streams_alone():
    other = draws(dataclasses.replace(HERE, rank=0))
    assert {key for key, value in draws(HERE).items() if other[key] == value} == {"shared", "shared scalar"}


@pytest.mark.parametrize("change", [{"step": 6}, {"seed": 4}])
def test_steps_and_seeds_share_nothing(change):
    other = draws(dataclasses.replace(HERE, **change))
    assert all(other[key] != value for key, value in draws(HERE).items())


def test_the_order_of_asking_does_not_matter():
    """Nothing is consumed: asking twice gives the stream from its start."""
    assert draws(HERE) == draws(HERE)


def test_context_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        HERE.step = 6
