"""kNN against loops in float64."""

import math

import pytest
import torch

from samix.core.errors import ConfigError
from samix.evaluation.knn import knn_predict


def blobs(n, seed, classes=5, dim=6):
    """Overlapping classes, so that neighbours disagree and votes decide."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, dim, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(classes, (n,), generator=generator)
    return centres[labels] + 1.5 * torch.randn(n, dim, generator=generator), labels


def by_loops(train, labels, test, neighbours, temperature):
    def unit(row):
        norm = math.sqrt(sum(v * v for v in row))
        return [v / norm for v in row]

    rows = [unit(row) for row in train.double().tolist()]
    predicted = []
    for query in map(unit, test.double().tolist()):
        cosines = [sum(a * b for a, b in zip(query, row, strict=True)) for row in rows]
        nearest = sorted(range(len(rows)), key=lambda i: -cosines[i])[:neighbours]
        votes = [0.0] * 5
        for i in nearest:
            votes[labels[i]] += math.exp(cosines[i] / temperature)
        predicted.append(votes.index(max(votes)))
    return predicted


@pytest.mark.parametrize("neighbours", [1, 7, 60])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_equals_loops(neighbours, temperature):
    (train, labels), (test, _) = blobs(60, seed=0), blobs(300, seed=1)  # more than one chunk of queries
    options = {"neighbours": neighbours, "temperature": temperature}
    found = knn_predict(train, labels, test, classes=5, **options).tolist()
    expected = by_loops(train, labels, test, neighbours, temperature)
    assert found == expected
    assert len(set(found)) > 1


def test_votes_are_weighted_not_counted():
    """Two far neighbours of class 1 against a near one of class 0."""
    train = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    labels, test = torch.tensor([0, 1, 1]), torch.tensor([[2.0, 0.0]])

    def predict(temperature):
        return knn_predict(train, labels, test, neighbours=3, temperature=temperature, classes=2).item()

    assert predict(0.07) == 0 and predict(10.0) == 1


def test_length_of_features_does_not_matter():
    (train, labels), (test, _) = blobs(60, seed=2), blobs(50, seed=3)
    options = {"neighbours": 9, "temperature": 0.07, "classes": 5}
    scaled = knn_predict(train * torch.rand(60, 1).add(0.1), labels, test * 7, **options)
    assert torch.equal(scaled, knn_predict(train, labels, test, **options))


def test_a_small_temperature_does_not_overflow():
    (train, labels), (test, _) = blobs(60, seed=0), blobs(40, seed=1)
    found = knn_predict(train, labels, test, neighbours=5, temperature=1e-4, classes=5)
    nearest = knn_predict(train, labels, test, neighbours=1, temperature=1.0, classes=5)
    assert torch.equal(found, nearest)


def test_more_neighbours_than_images_is_an_error():
    (train, labels), (test, _) = blobs(10, seed=0), blobs(3, seed=1)
    with pytest.raises(ConfigError, match="knn_neighbours is 11, but there are 10 training images"):
        knn_predict(train, labels, test, neighbours=11, temperature=0.07, classes=5)
