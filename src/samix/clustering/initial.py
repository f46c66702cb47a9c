"""The first pseudo labels: k-means on the features of the whole training set (DeepCluster)."""

from __future__ import annotations

from torch import Tensor

from samix.clustering.kmeans import kmeans
from samix.clustering.preprocess import l2_normalise, pca_whiten
from samix.config.clustering import ClusteringConfig
from samix.core.random import Stream, seed_for


def initial_labels(features: Tensor, config: ClusteringConfig, seed: int) -> Tensor:
    """Cluster features (M, d), in data-set order: PCA whitening if configured, rows of length 1, k-means.

    Args: seed of the initial centroids.
    Returns: labels (M,) int64 on the device of features; a cluster may be empty if features coincide.
    Raises: see `kmeans` and `pca_whiten`.
    """
    rows = features.float() if config.pca_dim is None else pca_whiten(features, config.pca_dim)
    return kmeans(
        l2_normalise(rows),
        config.clusters,
        config.kmeans_iterations,
        seed_for(seed, Stream.KMEANS),
        config.faiss_device,
    ).labels
