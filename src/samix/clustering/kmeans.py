"""k-means with faiss, on CPU or GPU through one code path."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samix.clustering.faiss_library import faiss_uses_gpu, import_faiss
from samix.config.clustering import FaissDevice
from samix.core.errors import ConfigError, DataError


@dataclass(frozen=True)
class Clusters:
    """labels (M,) int64, the nearest centroid; centroids (C, d) float32."""

    labels: Tensor
    centroids: Tensor


def kmeans(
    features: Tensor, clusters: int, iterations: int, seed: int, device: FaissDevice = "auto"
) -> Clusters:
    """Cluster the rows of features (M, d) by squared Euclidean distance; every row takes part.

    Results are equal for equal seeds on the CPU, whatever the number of threads. A cluster may stay empty
    where rows coincide.

    Args: seed >= 0.
    Returns: Clusters, on the device of features.
    Raises: ConfigError for more clusters than rows; DataError for features that are not finite;
    DependencyError without faiss, or for device "gpu" where faiss finds none.
    """
    if clusters > len(features):
        raise ConfigError(
            f"clusters: {clusters} is more than the {len(features)} images to cluster. Use fewer clusters."
        )
    if not features.isfinite().all():
        raise DataError("Features to cluster hold NaN or infinity. Look at the encoder's training.")
    faiss, gpu = import_faiss(), faiss_uses_gpu(device)
    rows = features.detach().to("cpu", torch.float32).contiguous().numpy()
    solver = faiss.Kmeans(
        rows.shape[1],
        clusters,
        gpu=gpu,
        niter=iterations,
        seed=seed % 2**31,
        # Random rows as a start merge well separated clusters more often than not; this one is k-means++
        # up to sampling, at a cost that does not matter for 10^4 clusters either.
        init_method=faiss.ClusteringInitMethod_AFK_MC2,
        max_points_per_centroid=10**7,  # faiss would otherwise look at 256 rows a cluster only
        min_points_per_centroid=1,  # it warns below 39, which small data sets may well have
    )
    solver.train(rows)
    _, labels = solver.assign(rows)
    return Clusters(
        labels=torch.from_numpy(labels).to(features.device),
        centroids=torch.from_numpy(solver.centroids).to(features.device),
    )
