"""Nodes of the stage pseudo_labels."""

from __future__ import annotations

from typing import Any

from samix.config.ssl import ModelConfig
from samix.config.stages import PseudoLabelsConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields


def cluster_images(
    card: dict[str, Any],
    manifest: DataFrame,
    config: PseudoLabelsConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """Train the encoder with online deep clustering."""
    from samix.jobs.pseudo_labels import PseudoLabelsJob, make_pseudo_labels
    from samix.training import run_job

    inputs: dict[str, Any] = {"card": card, "manifest": manifest, "config": config, "model": model}
    fields = job_fields("pseudo_labels", "clustering", training, seed, **inputs)
    return run_job(make_pseudo_labels, PseudoLabelsJob(**fields, **inputs))


def list_pseudo_labels(encoder: WeightsFile, manifest: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The training images with their pseudo labels, and the centroids, one row each."""
    import pandas as pd

    from samix.data import pretraining_split

    chosen = manifest["split"] == pretraining_split(manifest)
    rows = manifest.loc[chosen, ["index", "path", "label"]].reset_index(drop=True)
    centroids = pd.DataFrame(encoder.load("centroids")[""].numpy())
    centroids.columns = [f"d{i}" for i in range(centroids.shape[1])]
    return rows.assign(pseudo_label=encoder.load("labels")[""].numpy()), centroids


def score_pseudo_labels(encoder: WeightsFile, labels: DataFrame) -> tuple[dict[str, float], Any]:
    """Agreement with the true labels, sizes, and curves over the epochs."""
    from samix.analysis.curves import curves_figure

    history = encoder.metadata["history"]
    sizes = labels["pseudo_label"].value_counts()
    # an unlabelled split has no true labels to agree with
    scores = [row for row in history if "nmi" in row][-1:] or [{"change_ratio": history[-1]["change_ratio"]}]
    wanted = [key for key in ("nmi", "ari", "purity", "change_ratio") if key in scores[0]]
    metrics = {f"clustering.{key}": scores[0][key] for key in wanted}
    metrics |= {
        "clustering.clusters": float(len(sizes)),
        "clustering.smallest": float(sizes.min()),
        "clustering.largest": float(sizes.max()),
    }
    return metrics, curves_figure({"ODC": history}, ["loss", "nmi", "purity", "change_ratio"])


def draw_clusters(card: dict[str, Any], manifest: DataFrame, labels: DataFrame, seed: int) -> tuple[Any, Any]:
    """Members of some clusters, and the sizes of all."""
    import torch

    from samix.analysis.clusters import cluster_sheet, cluster_sizes_figure
    from samix.data import open_images, pretraining_split

    pseudo = torch.from_numpy(labels["pseudo_label"].to_numpy(copy=True))
    sheet = cluster_sheet(open_images(card, manifest, pretraining_split(manifest)), pseudo, seed=seed)
    return sheet, cluster_sizes_figure(pseudo.bincount())
