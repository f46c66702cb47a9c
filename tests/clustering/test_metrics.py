"""Clustering metrics by brute force."""

from itertools import combinations

import pytest
import torch

from samix.clustering.metrics import ari, nmi, purity

GENERATOR = torch.Generator().manual_seed(4)
CLASSES = torch.randint(4, (60,), generator=GENERATOR)
CLUSTERS = torch.where(
    torch.rand(60, generator=GENERATOR) < 0.6, CLASSES + 2, torch.randint(7, (60,), generator=GENERATOR)
)


def test_purity_by_counting():
    pairs = list(zip(CLUSTERS.tolist(), CLASSES.tolist(), strict=True))
    right = sum(max(pairs.count((c, y)) for y in range(4)) for c in range(7))
    assert purity(CLUSTERS, CLASSES) == pytest.approx(right / 60)
    assert purity(CLASSES, CLASSES) == 1


def test_nmi_from_the_entropies():
    def entropy(p):
        p = p[p > 0]
        return -(p * p.log()).sum()

    joint = torch.zeros(7, 4, dtype=torch.float64)
    joint.index_put_((CLUSTERS, CLASSES), torch.tensor(1 / 60, dtype=torch.float64), accumulate=True)
    h_clusters, h_classes, h = entropy(joint.sum(1)), entropy(joint.sum(0)), entropy(joint.flatten())
    expected = (h_clusters + h_classes - h) / (0.5 * (h_clusters + h_classes))
    assert nmi(CLUSTERS, CLASSES) == pytest.approx(expected.item())
    assert nmi((CLASSES + 1) % 4, CLASSES) == pytest.approx(1)


def test_ari_from_the_pairs():
    pairs = list(combinations(range(60), 2))
    together = [(CLUSTERS[i] == CLUSTERS[j]).item() for i, j in pairs]
    same = [(CLASSES[i] == CLASSES[j]).item() for i, j in pairs]
    both = sum(a and b for a, b in zip(together, same, strict=True))
    chance = sum(together) * sum(same) / len(pairs)
    expected = (both - chance) / ((sum(together) + sum(same)) / 2 - chance)
    assert ari(CLUSTERS, CLASSES) == pytest.approx(expected)
