"""Sizes, means and weights of clusters by brute force in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from samix.clustering.groups import cluster_means, cluster_sizes
from samix.clustering.reweight import class_weights, weighted_cross_entropy

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


def test_weighted_cross_entropy_value_and_gradient():
    logits = torch.randn(8, 5, generator=GENERATOR, requires_grad=True)
    weights = torch.tensor([0.5, 2.0, 1.0, 1.0, 0.25])
    loss = weighted_cross_entropy(logits, LABELS, weights)
    loss.backward()

    p = logits.detach().double().exp()
    p = p / p.sum(1, keepdim=True)
    own = torch.stack([-p[n, c].log() * weights[c].double() for n, c in enumerate(LABELS.tolist())])
    torch.testing.assert_close(loss.detach().double(), own.sum() / 8, atol=1e-6, rtol=0)
    gradient = weights.double()[LABELS, None] * (p - F.one_hot(LABELS, 5)) / 8
    torch.testing.assert_close(logits.grad.double(), gradient, atol=1e-7, rtol=1e-5)


def test_a_batch_of_one_cluster_feels_its_weight():
    """With torch's mean reduction the weight would cancel."""
    logits, labels = torch.zeros(4, 5), torch.full((4,), 3)
    weights = torch.tensor([1.0, 1.0, 1.0, 0.1, 1.0])
    assert weighted_cross_entropy(logits, labels, weights).item() == pytest.approx(0.1 * math.log(5))
