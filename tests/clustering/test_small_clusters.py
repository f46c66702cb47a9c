"""The rule for small clusters, step by step."""

import torch

from samix.clustering.groups import cluster_means, cluster_sizes
from samix.clustering.preprocess import l2_normalise
from samix.clustering.small_clusters import fill_clusters, handle_small_clusters, two_parts


def state(sizes, dim=4, seed=3):
    """Random unit features with clusters of these sizes, in random order, and their centroids."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    features = l2_normalise(torch.randn(len(labels), dim, generator=generator))
    start = torch.randn(len(sizes), dim, generator=generator)
    return features, labels, cluster_means(features, labels, start)


def brute_force(features, labels, centroids, min_cluster):
    """The rule in float64 with plain loops; 2-means itself is shared."""
    x, labels, centroids = features.double(), labels.tolist(), centroids.double().clone()
    clusters = range(len(centroids))
    small = [c for c in clusters if labels.count(c) < min_cluster]
    if len(small) in (0, len(centroids)):
        return labels, centroids
    for i, label in enumerate(labels):
        if label in small:
            others = [c for c in clusters if c not in small]
            labels[i] = max(others, key=lambda c: (x[i] @ centroids[c]).item())
    for empty in small:
        counts = [labels.count(c) for c in clusters]
        largest = counts.index(max(counts))
        members = [i for i, label in enumerate(labels) if label == largest]
        for i, second in zip(members, two_parts(features[members]).tolist(), strict=True):
            labels[i] = empty if second else largest
        for c in (largest, empty):
            centroids[c] = x[[i for i, label in enumerate(labels) if label == c]].mean(0)
    return labels, centroids


def test_rule_by_brute_force():
    features, labels, centroids = state([30, 2, 17, 0, 1, 25])
    expected_labels, expected_centroids = brute_force(features, labels, centroids, 3)
    handle_small_clusters(features, labels, centroids, 3)
    assert labels.tolist() == expected_labels
    torch.testing.assert_close(centroids.double(), expected_centroids, atol=1e-6, rtol=0)
    sizes = cluster_sizes(labels, 6)
    assert sizes.min() > 0 and sizes.sum() == 75


def test_clusters_that_were_not_split_keep_their_centroid_although_they_gain_members():
    features, labels, centroids = state([60, 3, 20, 20])
    before = centroids.clone()
    handle_small_clusters(features, labels, centroids, 4)
    assert cluster_sizes(labels, 4)[2:].sum() >= 40
    assert torch.equal(centroids[2:], before[2:])


def test_nothing_happens_where_no_cluster_is_small():
    features, labels, centroids = state([8, 9, 10])
    before = labels.clone(), centroids.clone()
    handle_small_clusters(features, labels, centroids, 8)
    assert torch.equal(labels, before[0]) and torch.equal(centroids, before[1])


def test_nothing_happens_where_every_cluster_is_small():
    features, labels, centroids = state([3, 0, 2])
    before = labels.clone(), centroids.clone()
    handle_small_clusters(features, labels, centroids, 4)
    assert torch.equal(labels, before[0]) and torch.equal(centroids, before[1])


def test_two_parts_finds_two_blobs():
    generator = torch.Generator().manual_seed(0)
    blob = torch.arange(40) % 2 == 0
    features = torch.randn(40, 3, generator=generator) + 10 * blob[:, None]
    second = two_parts(features)
    assert torch.equal(second, blob) or torch.equal(second, ~blob)


def test_equal_features_are_split_in_random_halves_that_repeat():
    second = two_parts(torch.ones(11, 3))
    assert second.sum() == 5
    assert second.tolist() != sorted(second.tolist()) and second.tolist() != sorted(second.tolist())[::-1]
    torch.manual_seed(9)
    assert torch.equal(two_parts(torch.ones(11, 3)), second)


def test_two_rows_are_split_in_one_and_one():
    assert two_parts(torch.ones(2, 3)).sum() == 1
    assert two_parts(torch.eye(2)).sum() == 1


def test_many_empty_clusters_are_filled_down_to_single_members():
    features, labels, centroids = state([6, 0, 0, 0, 0, 0])
    fill_clusters(features, labels, centroids, [1, 2, 3, 4, 5])
    assert cluster_sizes(labels, 6).tolist() == [1] * 6
    torch.testing.assert_close(centroids[labels], features)
