"""Labels of a self-supervised training: their sources."""

import pandas as pd
import pytest
import torch

from helpers.tiny_jobs import CLUSTERING
from samix.config.mixing import ClusterConfig, PolicyConfig, SSLMixerTrainingConfig
from samix.core.errors import ConfigError, DataError
from samix.core.weights import WeightsFile, save_weights
from samix.data.store import MemoryStore
from samix.jobs.build import policy_classes, static_policy
from samix.jobs.labels import fixed_labels, pseudo_label_tensor, uses_labels
from samix.mixup import POLICIES

TRUE = torch.tensor([3, 0, 1, 1, 2, 0])
PSEUDO = pd.DataFrame({"pseudo_label": [1, 1, 0, 2, 1, 1]})
SAMIX = PolicyConfig(name="samix")


def store_of(labels):
    return MemoryStore(torch.zeros(len(labels), 3, 4, 4, dtype=torch.uint8), labels)


def test_true_labels_count_alike():
    labels = fixed_labels(store_of(TRUE), 5, None, CLUSTERING)
    assert torch.equal(labels.labels, TRUE) and labels.classes == 5
    assert labels.class_weights().tolist() == [1.0] * 5


def test_pseudo_labels_are_weighed_by_their_sizes():
    labels = fixed_labels(store_of(TRUE), 5, PSEUDO, CLUSTERING)
    assert labels.labels.tolist() == [1, 1, 0, 2, 1, 1] and labels.classes == 3
    inverse = [1, 4**-0.5, 1]
    want = [3 * w / sum(inverse) for w in inverse]
    assert labels.class_weights().tolist() == pytest.approx(want, rel=1e-4)


def test_images_without_labels_have_no_true_ones():
    with pytest.raises(ConfigError, match="requires the data set's own labels"):
        fixed_labels(store_of(torch.tensor([1, -1, 0])), 5, None, CLUSTERING)


@pytest.mark.parametrize(("table", "found"), [(None, 0), (PSEUDO.iloc[:4], 4)])
def test_pseudo_labels_of_other_images(table, found):
    with pytest.raises(DataError, match=f"{found} pseudo labels for 6 training images: run the stage"):
        pseudo_label_tensor(table, 6)


@pytest.mark.parametrize(
    ("options", "uses"),
    [
        ({"objective": "cluster"}, True),
        ({"objective": "instance"}, False),
        ({"objective": "instance", "filter_negatives": True}, True),
        ({"objective": "instance", "mask_adjust": {"mode": "auto_label"}}, True),
    ],
)
def test_who_uses_labels_of_a_trained_mixer(options, uses):
    assert uses_labels(SAMIX, SSLMixerTrainingConfig(**options), None) == uses


@pytest.mark.parametrize(("mode", "uses"), [("auto", False), ("auto_label", True)])
def test_who_uses_labels_of_a_frozen_mixer(tmp_path, mode, uses):
    path = tmp_path / "mixer.safetensors"
    save_weights(path, {"x": torch.zeros(1)}, {"kind": "samix_p", "mask_adjust": {"mode": mode}})
    assert uses_labels(PolicyConfig(name="samix_p"), None, WeightsFile(path)) == uses


@pytest.mark.parametrize(
    ("name", "options", "uses"),
    [
        ("none", {}, False),
        ("mixup", {}, False),
        ("cutmix", {}, False),
        ("inter_intra", {}, True),
        ("tokenmix", {"label": "teacher"}, False),
        ("random_choice", {}, False),
        ("random_choice", {"policies": ["mixup", "inter_intra"]}, True),
    ],
)
def test_who_uses_labels_of_the_others(name, options, uses):
    config = PolicyConfig(name=name, options=options)
    assert uses_labels(config, None, None) == uses
    assert name == "none" or ("labels" in static_policy(config).requires) == uses


def test_no_network_is_loaded_to_tell_who_uses_labels(monkeypatch):
    def unexpected(*_, **__):
        raise AssertionError("a network is loaded")

    for name in ("attentivemix", "supermix", "tokenmix"):
        monkeypatch.setattr(f"samix.mixup.policies.{name}.frozen_network", unexpected)
    teacher = PolicyConfig(name="tokenmix", options={"label": "teacher", "weights": "no.pth"})
    assert uses_labels(teacher, None, None)
    for name in ("attentivemix", "supermix"):
        policy = PolicyConfig(name=name)
        assert not uses_labels(policy, None, None) and policy_classes(policy) == {POLICIES[name]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "instance", "loss": "sigmoid_negweight"}, "needs classes"),
        ({"cluster": {"train_encoder": True, "features": "projection"}}, "needs features: pooled"),
        ({"cluster": {"labels": "fixed", "kmeans_epochs": (1,)}}, "are for labels: online"),
    ],
)
def test_options_that_cannot_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        SSLMixerTrainingConfig(**options)
    assert ClusterConfig(kmeans_epochs=(1, 3)).labels == "online"
