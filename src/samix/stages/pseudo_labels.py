"""Stage pseudo_labels: pseudo labels by online deep clustering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samix.config.settings import Settings
from samix.stages.stage import Stage, Step, Task, Upstream

if TYPE_CHECKING:
    import pandas as pd

    from samix.core.weights import WeightsFile
    from samix.data import Images


def cluster_images(settings: Settings, images: Images, _: Upstream, seed: int) -> Any:
    """Train the encoder with online deep clustering."""
    from samix.jobs.pseudo_labels import PseudoLabelsJob, make_pseudo_labels

    return make_pseudo_labels, PseudoLabelsJob(
        label="pseudo_labels",
        seed=seed,
        training=settings.training,
        images=images,
        model=settings.model,
        config=settings.pseudo_labels,
    )


def check(settings: Settings, card: Mapping[str, Any]) -> None:
    """Clusters and batches against the number of images; see `Stage`."""
    from samix.jobs.checks import check_pseudo_labels, check_shares

    images = card["counts"].get("unlabelled", card["counts"]["train"])
    check_pseudo_labels(settings.pseudo_labels, images)
    check_shares("pseudo_labels", settings.pseudo_labels.batch_size, settings.training)


def list_pseudo_labels(encoder: WeightsFile, images: Images) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training images with their pseudo labels, and the centroids, one row each."""
    import pandas as pd

    chosen = images.manifest["split"] == images.pretraining
    rows = images.manifest.loc[chosen, ["index", "path", "label"]].reset_index(drop=True)
    centroids = pd.DataFrame(encoder.load("centroids")[""].numpy())
    centroids.columns = [f"d{i}" for i in range(centroids.shape[1])]
    return rows.assign(pseudo_label=encoder.load("labels")[""].numpy()), centroids


def score_pseudo_labels(encoder: WeightsFile, labels: pd.DataFrame) -> tuple[dict[str, float], Any]:
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


def draw_clusters(images: Images, labels: pd.DataFrame, seed: int) -> tuple[Any, Any]:
    """Members of some clusters, and the sizes of all."""
    import torch

    from samix.analysis.clusters import cluster_sheet, cluster_sizes_figure

    pseudo = torch.from_numpy(labels["pseudo_label"].to_numpy(copy=True))
    sheet = cluster_sheet(images.open(images.pretraining), pseudo, seed=seed)
    return sheet, cluster_sizes_figure(pseudo.bincount())


PSEUDO_LABELS = Stage(
    "pseudo_labels",
    sections=("pseudo_labels", "model", "training"),
    tasks=(Task("cluster_images", "encoder_weights", "clustering", cluster_images),),
    steps=(
        Step(
            "list_pseudo_labels",
            list_pseudo_labels,
            ("encoder_weights", "images"),
            ("labels", "centroids_table"),
        ),
        Step(
            "score_pseudo_labels",
            score_pseudo_labels,
            ("encoder_weights", "labels"),
            ("metrics", "curves_picture"),
        ),
        Step(
            "draw_clusters", draw_clusters, ("images", "labels", "seed"), ("members_picture", "sizes_chart")
        ),
    ),
    check=check,
    details={"members_picture": "Members of some clusters", "curves_picture": "Online clustering"},
)
