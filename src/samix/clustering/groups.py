"""Sizes and means of clusters, with equal results on every rank."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cluster_sizes(labels: Tensor, clusters: int) -> Tensor:
    """Members of each cluster, (C,) int64, for labels (M,) in [0, C). Does not wait for the device."""
    sizes = torch.zeros(clusters, dtype=torch.int64, device=labels.device)
    return sizes.scatter_add_(0, labels, torch.ones_like(labels))


def cluster_means(features: Tensor, labels: Tensor, centroids: Tensor) -> Tensor:
    """Mean feature of each cluster, (C, d); a cluster without members keeps its row of centroids.

    Args: features (M, d); labels (M,) in [0, C); centroids (C, d).
    """
    sizes = cluster_sizes(labels, len(centroids))
    # Bags are summed in a fixed order; index_add_ on a GPU is not, and ranks would diverge.
    means = F.embedding_bag(
        labels.argsort(stable=True), features, offsets=sizes.cumsum(0) - sizes, mode="mean"
    )
    return torch.where(sizes[:, None] > 0, means, centroids)
