"""Sizes, means and weights of clusters by brute force in float64."""

import pytest
import torch

from samix.clustering.groups import cluster_means, cluster_sizes
from samix.clustering.reweight import class_weights

GENERATOR = torch.Generator().manual_seed(2)
LABELS = torch.tensor([4, 0, 4, 1, 1, 4, 4, 0])
FEATURES = torch.randn(8, 3, generator=GENERATOR)


def test_sizes():
    assert cluster_sizes(LABELS, 6).tolist() == [2, 2, 0, 0, 4, 0]


def test_means_of_members_and_empty_clusters_keep_their_centroid():
    before = torch.randn(6, 3, generator=GENERATOR)
    means = cluster_means(FEATURES, LABELS, before)
    for cluster in (0, 1, 4):
        expected = FEATURES.double()[cluster == LABELS].mean(0)
        torch.testing.assert_close(means[cluster].double(), expected, atol=1e-6, rtol=0)
    assert torch.equal(means[[2, 3, 5]], before[[2, 3, 5]])


@pytest.mark.parametrize("normalise", ["sum1", "mean1"])
def test_equal_sizes_give_uniform_weights(normalise):
    weights = class_weights(torch.full((5,), 12), 0.5, normalise)
    expected = torch.full((5,), {"sum1": 0.2, "mean1": 1.0}[normalise])
    torch.testing.assert_close(weights, expected, atol=1e-6, rtol=0)


def test_weights_follow_the_formula():
    sizes = torch.tensor([1, 4, 100, 0])
    inverse = [(1 / (size + 1e-5)) ** 0.5 for size in sizes.tolist()]
    expected = torch.tensor([value / sum(inverse) for value in inverse])
    torch.testing.assert_close(class_weights(sizes, 0.5, "sum1"), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(class_weights(sizes, 0.5, "mean1"), 4 * expected, rtol=1e-5, atol=0)


def test_power_zero_weighs_nothing():
    assert class_weights(torch.tensor([1, 7, 100]), 0.0, "mean1").tolist() == [1, 1, 1]
