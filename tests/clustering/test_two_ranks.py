"""Two processes and one compute the same pseudo labels from the same global batches."""

import pytest
import torch

from helpers.memory_two_ranks import all_three, take_over, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks.in_group(all_three)


@pytest.fixture(scope="module")
def alone():
    return train()


@pytest.mark.parametrize("key", ["labels", "features", "centroids", "ratios"])
def test_memory_equals_that_of_one_process(ranks, alone, key):
    assert torch.equal(ranks[0]["state"][key], ranks[1]["state"][key])
    assert torch.equal(ranks[0]["state"][key], alone[key])


def test_labels_from_elsewhere_are_those_of_rank_zero(ranks):
    for key, want in take_over().items():
        assert torch.equal(ranks[0]["taken"][key], want) and torch.equal(ranks[1]["taken"][key], want)


def test_the_comparison_is_not_of_frozen_labels(alone):
    assert alone["ratios"].min() > 0.1


def test_labels_that_drifted_apart_are_noticed(ranks):
    assert ranks[0]["noticed"] and ranks[1]["noticed"]
