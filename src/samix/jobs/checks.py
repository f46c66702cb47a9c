"""Do the settings of all stages fit the data and the machine? Asked once, before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samix.clustering import smallest_cluster
from samix.clustering.faiss_library import faiss_uses_gpu
from samix.config.detection import DetectionConfig
from samix.config.mixing import PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.ssl import ModelConfig
from samix.config.stages import LinearEvaluationConfig, PseudoLabelsConfig
from samix.config.supervised import SupervisedConfig
from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError, DataError
from samix.jobs.build import static_policy
from samix.methods import MoCo
from samix.methods.supervised import check_mixed_loss
from samix.mixup import POLICIES
from samix.mixup.adapter import capabilities_of
from samix.mixup.adapter import check_policy as check_fits
from samix.nn import build_backbone
from samix.training.launch import check_devices


def check_settings(
    card: Mapping[str, Any],
    model: ModelConfig,
    training: TrainingConfig,
    pseudo_labels: PseudoLabelsConfig,
    linear: LinearEvaluationConfig,
    detection: DetectionConfig,
    policy: PolicyConfig,
) -> None:
    """Raise ConfigError, DataError or DependencyError where a later stage could not run."""
    images = card["counts"].get("unlabelled", card["counts"]["train"])
    check_devices(training)
    check_backbone(model.backbone, card["image_size"])
    other_views = model.moco.cross_view in ("swap", "same_swap")
    check_policy("ssl_training", policy, model.backbone, card, classes=False, one_view=not other_views)
    MoCo.check(model.moco, images)
    check_pseudo_labels(pseudo_labels, images)
    check_linear(linear, card["counts"]["train"])
    _check_shares(
        training.devices,
        {
            "moco": model.moco.batch_size,
            "pseudo_labels": pseudo_labels.batch_size,
            "linear_evaluation": linear.batch_size,
            "detection_transfer": detection.batch_size,
        },
    )
    if detection.root is not None and detection.source == "voc" and not detection.root.exists():
        raise ConfigError(f"detection_transfer.root: there is no folder {detection.root}.")


def check_supervised_settings(
    card: Mapping[str, Any],
    model: ModelConfig,
    training: TrainingConfig,
    supervised: SupervisedConfig,
    policy: PolicyConfig,
) -> None:
    """Raise ConfigError where a supervised stage could not run."""
    check_devices(training)
    check_backbone(model.backbone, card["image_size"])
    check_policy("sl_training", policy, model.backbone, card, classes=True)
    if policy.name != "none":
        check_mixed_loss(POLICIES[policy.name], supervised)
    check_supervised(supervised, card["counts"]["train"])
    _check_shares(training.devices, {"supervised": supervised.batch_size})


def check_backbone(config: BackboneConfig, image_size: int) -> None:
    """Raise ConfigError or DataError where there is no such backbone, or it takes other images."""
    takes = build_backbone(config).image_size
    if takes is not None and takes != (image_size, image_size):
        raise ConfigError(
            f"model.backbone: {config.name} takes images of {takes[0]} x {takes[1]}, "
            f"data_preparation.image_size is {image_size}: make them equal (model.backbone.image_size)."
        )
    if config.pretrained_file is not None and not config.pretrained_file.is_file():
        raise DataError(f"model.backbone.pretrained_file: there is no file {config.pretrained_file}.")


def check_policy(
    stage: str,
    config: PolicyConfig,
    backbone: BackboneConfig,
    card: Mapping[str, Any],
    *,
    classes: bool,
    one_view: bool = True,
) -> None:
    """Raise ConfigError where the host of a stage cannot give the policy what it needs.

    classes: whether outputs are logits of classes; one_view: whether both parents are of one view.
    """
    if config.name == "none":
        return
    # a Mixer need not exist yet: what it needs does not depend on it
    kind = POLICIES[config.name]
    policy = static_policy(config, (card["mean"], card["std"])) if kind.uses_mixer == "none" else kind
    random = backbone.model_copy(update={"pretrained": False, "pretrained_file": None})
    # labels that a policy asks for are the data set's own, or those of the stage pseudo_labels
    offered = capabilities_of(build_backbone(random), labels=True, classes=classes, one_view=one_view)
    try:
        check_fits(policy, offered, lam_per_sample=config.lam == "sample")
    except ConfigError as error:
        raise ConfigError(f"{stage}.policy: {error}") from error


def check_supervised(config: SupervisedConfig, images: int) -> None:
    """Raise ConfigError where batch and number of training images do not go together."""
    if config.batch_size > images:
        raise ConfigError(
            f"supervised.batch_size is {config.batch_size}, but there are {images} training images."
        )


def check_pseudo_labels(config: PseudoLabelsConfig, images: int) -> None:
    """Raise ConfigError or DependencyError where the stage pseudo_labels cannot run."""
    sizes = {"clustering.clusters": config.clustering.clusters, "batch_size": config.batch_size}
    for key, value in sizes.items():
        if value > images:
            raise ConfigError(f"pseudo_labels.{key} is {value}, but there are {images} training images.")
    smallest_cluster(config.clustering, images)
    faiss_uses_gpu(config.clustering.faiss_device)


def check_linear(config: LinearEvaluationConfig, images: int) -> None:
    """Raise ConfigError where the stage linear_evaluation cannot run."""
    for key, value in (("batch_size", config.batch_size), ("knn_neighbours", config.knn_neighbours)):
        if value > images:
            raise ConfigError(f"linear_evaluation.{key} is {value}, but there are {images} training images.")


def _check_shares(devices: int, batch_sizes: Mapping[str, int]) -> None:
    for part, size in batch_sizes.items():
        if size % devices:
            raise ConfigError(
                f"{part}.batch_size is {size}, which training.devices ({devices}) cannot share equally: "
                "take a multiple."
            )
