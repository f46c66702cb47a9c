"""Where the labels come from that a self-supervised host uses."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from samix.clustering.memory import ODCMemory
from samix.config.clustering import ClusteringConfig
from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.core.errors import ConfigError, DataError
from samix.core.weights import WeightsFile
from samix.data import ImageStore, Normalize
from samix.evaluation.features import extract_features
from samix.methods.labels import FixedLabels, OnlineLabels
from samix.mixup import POLICIES
from samix.nn import Encoder


def uses_labels(
    policy: PolicyConfig, mixer: SSLMixerTrainingConfig | None, pretrained_mixer: WeightsFile | None
) -> bool:
    """Whether the policy, a Mixer that is trained with it, or a frozen one requires labels of the images."""
    if mixer is not None:
        return mixer.uses_labels
    if pretrained_mixer is not None:
        return bool(pretrained_mixer.metadata["mask_adjust"]["mode"] == "auto_label")
    return policy.name != "none" and POLICIES[policy.name].uses_labels(policy.options)


def fixed_labels(
    store: ImageStore, classes: int, pseudo_labels: pd.DataFrame | None, clustering: ClusteringConfig
) -> FixedLabels:
    """The pseudo labels of a stage, or without them the data set's own, of `classes`.

    Raises: ConfigError for images without labels; DataError for pseudo labels of other images.
    """
    if pseudo_labels is None:
        if bool((store.labels < 0).any()):
            raise ConfigError(
                "mixer_pretraining.cluster.labels: true requires the data set's own labels, but not all of "
                "these images have one."
            )
        return FixedLabels(store.labels, classes)
    labels = pseudo_label_tensor(pseudo_labels, len(store)).to(store.labels.device)
    return FixedLabels(labels, int(labels.max()) + 1, reweight_power=clustering.reweight_power)


def online_labels(
    encoder: Encoder,
    store: ImageStore,
    normalize: Normalize,
    pseudo_labels: pd.DataFrame | None,
    clustering: ClusteringConfig,
    batch_size: int,
) -> OnlineLabels:
    """Clusters that start from the pseudo labels of a stage, with the keys that `encoder` gives now.

    Raises: DataError for pseudo labels of other images.
    """
    keys = extract_keys(encoder, store, normalize, batch_size)
    memory = ODCMemory(len(store), keys.shape[1], clustering).to(keys.device)
    memory.load(keys, pseudo_label_tensor(pseudo_labels, len(store)).to(keys.device))
    return OnlineLabels(memory)


def extract_keys(encoder: Encoder, store: ImageStore, normalize: Normalize, batch_size: int) -> Tensor:
    """Keys (M, d) of all images as they are, in the store's order."""
    return extract_features(encoder, lambda images: encoder(images).embedding, store, normalize, batch_size)


def pseudo_label_tensor(table: pd.DataFrame | None, images: int) -> Tensor:
    """Pseudo labels (M,) of a stage's table. Raises: DataError if they are of other images."""
    found = 0 if table is None else len(table)
    if table is None or found != images:
        raise DataError(
            f"there are {found} pseudo labels for {images} training images: "
            "run the stage pseudo_labels again."
        )
    return torch.from_numpy(table["pseudo_label"].to_numpy(dtype="int64", copy=True))
