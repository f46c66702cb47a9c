"""Small clusters (ODC): dissolve them into the others, then refill them by splitting the largest."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.clustering.groups import cluster_sizes
from samix.clustering.kmeans import kmeans
from samix.core.random import Stream, generator_for

SPLIT_ITERATIONS = 20
SPLIT_SEED = 0


def handle_small_clusters(features: Tensor, labels: Tensor, centroids: Tensor, min_cluster: int) -> None:
    """Move the members of clusters below min_cluster to the nearest other one, then refill those clusters.

    Does nothing if no cluster is small, or if all are. Changes labels and centroids in place; waits for the
    device once if no cluster is small.

    Args: features (M, d), rows of length 1; labels (M,) in [0, C); centroids (C, d).
    """
    sizes = cluster_sizes(labels, len(centroids)).tolist()
    small = [cluster for cluster, size in enumerate(sizes) if size < min_cluster]
    if not small or len(small) == len(sizes):
        return
    _dissolve(features, labels, centroids, small)
    fill_clusters(features, labels, centroids, small)


def fill_clusters(features: Tensor, labels: Tensor, centroids: Tensor, empty: list[int]) -> None:
    """Give each empty cluster in turn one part of the then largest cluster, which 2-means splits.

    Changes labels and centroids in place; only the centroids of the split clusters change. While a cluster
    is empty and there are at least as many samples as clusters, the largest has two members or more.
    """
    sizes = cluster_sizes(labels, len(centroids)).tolist()
    for cluster in empty:
        largest = sizes.index(max(sizes))
        members = (labels == largest).nonzero().squeeze(1)
        second = two_parts(features[members])
        labels[members[second]] = cluster
        centroids[largest] = features[members[~second]].mean(0)
        centroids[cluster] = features[members[second]].mean(0)
        sizes[cluster] = int(second.sum())
        sizes[largest] -= sizes[cluster]


def two_parts(features: Tensor) -> Tensor:
    """Split rows (n, d), n >= 2, by 2-means, or in random halves if 2-means leaves a part empty.

    Returns: (n,) bool, whether a row is in the second part. Equal on every rank.
    """
    # On the CPU, as faiss does not guarantee equal results on GPUs, and all ranks must agree.
    second = kmeans(features, 2, SPLIT_ITERATIONS, SPLIT_SEED, device="cpu").labels == 1
    if second.any() and not second.all():
        return second
    order = torch.randperm(len(features), generator=generator_for(SPLIT_SEED, Stream.RANDOM_HALVES))
    return (order < len(features) // 2).to(features.device)


def _dissolve(features: Tensor, labels: Tensor, centroids: Tensor, small: list[int]) -> None:
    is_small = torch.zeros(len(centroids), dtype=torch.bool, device=labels.device)
    is_small[small] = True
    members = is_small[labels].nonzero().squeeze(1)
    scores = features[members] @ centroids.T
    labels[members] = scores.masked_fill(is_small, -torch.inf).argmax(1)
