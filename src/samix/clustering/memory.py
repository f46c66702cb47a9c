"""The memory of online deep clustering: a feature and a pseudo label for every training image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samix.clustering.groups import cluster_means, cluster_sizes
from samix.clustering.initial import initial_labels
from samix.clustering.preprocess import l2_normalise
from samix.clustering.reweight import class_weights
from samix.clustering.small_clusters import fill_clusters, handle_small_clusters
from samix.config.clustering import ClusteringConfig
from samix.core.distributed import all_gather, rank, world_size
from samix.core.errors import ConfigError, DataError, TrainingError


class ODCMemory(nn.Module):
    """Samples and centroids memory of ODC (arXiv 2006.10645).

    Every rank has the whole memory and computes the same updates, so that pseudo labels are equal on all
    ranks. Everything is in the state_dict: a restored memory continues exactly, without k-means.

    Args: samples M, the training images; dim d of their features; config.
    Attributes: features (M, d) float32, rows of length 1; labels (M,) int64, the pseudo labels, -1 before
    `initialise`; centroids (C, d) float32, not normalised; min_cluster.
    Raises: ConfigError if M images cannot give C clusters of min_cluster members.
    """

    features: Tensor
    labels: Tensor
    centroids: Tensor

    def __init__(self, samples: int, dim: int, config: ClusteringConfig) -> None:
        super().__init__()
        self.config = config
        self.min_cluster = smallest_cluster(config, samples)
        self.register_buffer("features", torch.zeros(samples, dim))
        self.register_buffer("labels", torch.full((samples,), -1))
        self.register_buffer("centroids", torch.zeros(config.clusters, dim))

    def initialise(self, features: Tensor, seed: int) -> None:
        """First pseudo labels by k-means on features (M, d), in data-set order.

        The features of rank 0 are used, and k-means runs there only: neither encoder nor faiss guarantee
        equal bits on every GPU.

        Raises: DataError for features of another shape or not finite; see `initial_labels`.
        """
        self._require_shape("features", features, self.features)
        labels = torch.empty_like(self.labels)
        if rank() == 0:
            labels.copy_(initial_labels(features, self.config, seed))
        self.load(features, labels)

    @torch.no_grad()
    def load(self, features: Tensor, labels: Tensor) -> None:
        """Copy rank 0's features (M, d) and labels (M,); empty clusters are refilled.

        Raises: DataError for another shape, or labels outside [0, C).
        """
        self._require_shape("features", features, self.features)
        self._require_shape("labels", labels, self.labels)
        features, labels = _of_rank_zero(features.detach().to(self.features)), _of_rank_zero(labels)
        clusters = len(self.centroids)
        if labels.min() < 0 or labels.max() >= clusters:
            raise DataError(
                f"Pseudo labels must lie in 0 to {clusters - 1}, got {labels.min()} to {labels.max()}."
            )
        self.features.copy_(l2_normalise(features))
        self.labels.copy_(labels)
        self.refresh_centroids()
        empty = [cluster for cluster, size in enumerate(self.sizes().tolist()) if size == 0]
        fill_clusters(self.features, self.labels, self.centroids, empty)

    @torch.no_grad()
    def update(self, index: Tensor, features: Tensor) -> Tensor:
        """Blend this step's features into the memory; these images get the label of the best centroid.

        Args: index (n,) int64 of the images on this rank; features (n, d), from the step's own forward.
        If an index occurs more than once, the last in rank order counts.
        Returns: scalar in [0, 1], the share of images whose label changed, over all ranks.
        """
        index = all_gather(index)
        new = all_gather(l2_normalise(features.detach().float()))
        last = _last_occurrence(index)  # equal indices then write equal rows, in whatever order
        rows = l2_normalise(torch.lerp(self.features[index], new[last], self.config.new_feature_weight))[last]
        labels = (rows @ self.centroids.T).argmax(1)[last]
        changed = (labels != self.labels[index]).float().mean()
        self.features[index] = rows
        self.labels[index] = labels
        return changed

    def maintain(self, step: int) -> None:
        """Update centroids and small clusters, each at its interval, after the `update` of a 0-based step.

        Raises: TrainingError if the pseudo labels of the ranks differ.
        """
        if (step + 1) % self.config.centroid_interval == 0:
            self.require_replicas()
            self.refresh_centroids()
        if (step + 1) % self.config.small_cluster_interval == 0:
            self.handle_small_clusters()

    def refresh_centroids(self) -> None:
        """Set each centroid to the mean feature of its members; an empty cluster keeps its centroid."""
        self.centroids.copy_(cluster_means(self.features, self.labels, self.centroids))

    def handle_small_clusters(self) -> None:
        """Dissolve clusters below min_cluster and refill them by splitting the largest."""
        handle_small_clusters(self.features, self.labels, self.centroids, self.min_cluster)

    def sizes(self) -> Tensor:
        """Members of each cluster, (C,) int64."""
        return cluster_sizes(self.labels, len(self.centroids))

    def class_weights(self) -> Tensor:
        """Weight of each cluster in the loss, (C,), from the present sizes."""
        return class_weights(self.sizes(), self.config.reweight_power, self.config.reweight_normalise)

    def require_replicas(self) -> None:
        """Raise TrainingError if the pseudo labels are not the same on all ranks; waits for the device."""
        if world_size() == 1:
            return
        position = torch.arange(1, len(self.labels) + 1, device=self.labels.device)
        sums = all_gather((position * self.labels).sum()[None])
        if (sums != sums[0]).any():
            raise TrainingError("Pseudo labels differ between ranks. Start again from the last checkpoint.")

    def _require_shape(self, name: str, given: Tensor, held: Tensor) -> None:
        if given.shape != held.shape:
            raise DataError(f"Clustering expects {name} {tuple(held.shape)}, got {tuple(given.shape)}.")


def smallest_cluster(config: ClusteringConfig, samples: int) -> int:
    """Fewest members of a cluster that is not dissolved, for `samples` images: min_cluster, or its default.

    Raises: ConfigError if not all clusters can have as many members.
    """
    size = samples / config.clusters
    min_cluster = config.min_cluster or max(2, round(0.15 * size))
    if min_cluster > size:
        raise ConfigError(
            f"clusters: {config.clusters} of min_cluster: {min_cluster} members need more than the {samples} "
            "images there are. Use fewer clusters or a smaller min_cluster."
        )
    return min_cluster


def _of_rank_zero(x: Tensor) -> Tensor:
    """Rank 0's x, gathered in blocks, so that the x of other ranks take little memory."""
    return torch.cat([all_gather(block)[: len(block)] for block in torch.split(x, 2**16)])


def _last_occurrence(index: Tensor) -> Tensor:
    ordered, order = index.sort(stable=True)
    return order[torch.searchsorted(ordered, index, right=True) - 1]
