"""Do settings fit the data, the network and the machine? Each stage checks its own before anything trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samix.clustering import smallest_cluster
from samix.clustering.faiss_library import faiss_uses_gpu
from samix.config.mixing import PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.stages import LinearEvaluationConfig, PseudoLabelsConfig
from samix.config.supervised import SupervisedConfig
from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError, DataError, IncompatibleError
from samix.jobs.build import static_policy
from samix.methods.supervised import check_mixed_loss as check_loss
from samix.mixup import POLICIES
from samix.mixup.adapter import capabilities_of
from samix.mixup.adapter import check_policy as check_fits
from samix.nn import build_backbone


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
    """Raise IncompatibleError if the host of a stage does not have what the policy needs.

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
        raise IncompatibleError(f"{stage}.policy: {error}") from error


def check_mixed_loss(policy: PolicyConfig, config: SupervisedConfig) -> None:
    """Raise IncompatibleError if the loss of mixed images does not take the policy's weights."""
    if policy.name == "none":
        return
    try:
        check_loss(POLICIES[policy.name], config)
    except ConfigError as error:
        raise IncompatibleError(str(error)) from error


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


def check_shares(section: str, batch_size: int, training: TrainingConfig) -> None:
    """Raise ConfigError if a section's batch cannot be divided among the processes of the training."""
    if batch_size % training.devices:
        raise ConfigError(
            f"{section}.batch_size is {batch_size}, which training.devices ({training.devices}) cannot share "
            "equally: take a multiple."
        )
