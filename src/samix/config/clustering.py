"""How images are clustered into pseudo labels, and how the labels follow the encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samix.config.base import Config

FaissDevice = Literal["auto", "cpu", "gpu"]
ReweightNormalise = Literal["sum1", "mean1"]


class ClusteringConfig(Config):
    """Online deep clustering (ODC); defaults are SAMix-C's."""

    renamed = {"momentum": "new_feature_weight"}

    clusters: int = Field(200, ge=2, description="number of clusters C")
    kmeans_iterations: int = Field(20, ge=1, description="of the k-means that gives the first labels")
    pca_dim: int | None = Field(
        None, ge=1, description="whitened dimensions that k-means sees; null: the features as they are"
    )
    new_feature_weight: float = Field(
        0.5, ge=0, le=1, description="of a sample, in the mean with its feature in the memory"
    )
    min_cluster: int | None = Field(
        None, ge=1, description="smaller clusters are dissolved; null: 15 % of the mean size, at least 2"
    )
    centroid_interval: int = Field(10, ge=1, description="steps between updates of the centroids")
    small_cluster_interval: int = Field(1, ge=1, description="steps between searches for small clusters")
    reweight_power: float = Field(0.5, ge=0, description="class weight = size ** -power; 0: no reweighting")
    reweight_normalise: ReweightNormalise = Field(
        "mean1", description="class weights add up to 1 (sum1, ODC's recipe) or have mean 1 (mean1)"
    )
    faiss_device: FaissDevice = Field("auto", description="of the first k-means; auto: a GPU if there is one")
