"""Clustering into pseudo labels: k-means with faiss, online deep clustering."""

from samix.clustering.initial import initial_labels
from samix.clustering.kmeans import Clusters, kmeans
from samix.clustering.memory import ODCMemory, smallest_cluster
from samix.clustering.metrics import ari, nmi, purity
from samix.clustering.preprocess import l2_normalise, pca_whiten
from samix.clustering.reweight import class_weights

__all__ = [
    "Clusters",
    "ODCMemory",
    "ari",
    "class_weights",
    "initial_labels",
    "kmeans",
    "l2_normalise",
    "nmi",
    "pca_whiten",
    "purity",
    "smallest_cluster",
]
