"""Settings that cannot work are named before anything trains."""

import sys

import pytest
import torch

from helpers.tiny_jobs import SETTINGS
from samix.core.errors import ConfigError, DataError, DependencyError, IncompatibleError
from samix.stages import SL, SSL
from samix.stages.checks import check_settings

CARD = {"counts": {"train": 64, "test": 40}, "image_size": 16, "mean": [0.5] * 3, "std": [0.2] * 3}


def settings(**changes):
    """Settings that work but for the changes, which are given by the sections' dotted names."""
    work = {"linear_evaluation.knn_neighbours": 20, "pseudo_labels.clustering.min_cluster": 2}
    return SETTINGS.changed({**work, **changes}, "test")


def check(chain=SSL, **changes):
    check_settings(chain.stages, settings(**changes), CARD)


def test_settings_that_work():
    check()
    check(
        **{
            "model.moco.queue": 64,
            "training.devices": 2,
            "pseudo_labels.clustering.clusters": 32,
            "linear_evaluation.knn_neighbours": 64,
        }
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.moco.queue": 8}, r"moco.queue \(8\) is shorter than model.moco.batch_size \(16\)"),
        ({"model.moco.queue": 40}, r"moco.queue \(40\) must be a multiple of model.moco.batch_size \(16\)"),
        ({"model.moco.queue": 80}, r"moco.queue \(80\) is longer than the data set \(64 training images\)"),
        ({"model.moco.batch_size": 65}, "moco.batch_size is 65, but there are 64 training images"),
        ({"pseudo_labels.batch_size": 65}, "pseudo_labels.batch_size is 65, but there are 64 training"),
        (
            {"linear_evaluation.batch_size": 65},
            "linear_evaluation.batch_size is 65",
        ),
        (
            {"linear_evaluation.knn_neighbours": 65},
            "linear_evaluation.knn_neighbours is 65, but",
        ),
        (
            {"pseudo_labels.clustering.clusters": 65},
            "clustering.clusters is 65, but there are 64",
        ),
        (
            {"pseudo_labels.clustering.clusters": 33},
            "33 of min_cluster: 2 members need more than",
        ),
        (
            {"pseudo_labels.clustering.clusters": 5, "pseudo_labels.clustering.min_cluster": 13},
            "5 of min_cluster: 13 members need more",
        ),
        ({"training.devices": 3}, r"batch_size is 16, which training.devices \(3\) cannot share"),
        (
            {"training.devices": 2, "linear_evaluation.batch_size": 15},
            r"linear_evaluation.batch_size is 15, which training.devices \(2\) cannot share",
        ),
        (
            {"training.devices": 2, "detection_transfer.batch_size": 7},
            r"detection_transfer.batch_size is 7, which training.devices \(2\) cannot share",
        ),
        ({"model.backbone.name": "resnet19"}, "backbone.name: timm has no model 'resnet19'"),
        ({"model.backbone.tap": 9}, "backbone.tap: resnet18 has no stage 9"),
        (
            {"detection_transfer.source": "voc", "detection_transfer.root": "/no/voc"},
            "detection_transfer.root: there is no folder /no/voc",
        ),
    ],
)
def test_each_setting_that_cannot_work(changes, message):
    with pytest.raises(ConfigError, match=message):
        check(**changes)


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="training.device is 'gpu', but torch sees no GPU"):
        check(**{"training.device": "gpu"})


def test_faiss_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(DependencyError, match="needs faiss, which is not installed: install faiss-cpu"):
        check()


def test_a_file_of_weights_that_is_missing():
    backbone = {"stem": "imagenet", "channels": None, "pretrained": True, "pretrained_file": "no.safetensors"}
    with pytest.raises(DataError, match="pretrained_file: there is no file no.safetensors"):
        check(**{f"model.backbone.{key}": value for key, value in backbone.items()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "adautomix"}, r"ssl_training\.policy: policy adautomix reads the logits"),
        ({"name": "transmix"}, r"ssl_training\.policy: policy transmix needs the attention"),
        ({"name": "fmix", "lam": "sample"}, r"policy\.lam: policy fmix takes one lam per batch"),
        ({"name": "manifoldmix"}, "policy manifoldmix mixes features of two images of one view"),
    ],
)
def test_policies_that_cannot_work_are_refused_before_training(changes, message):
    view = {"model.moco.cross_view": "swap"} if changes["name"] == "manifoldmix" else {}
    with pytest.raises(IncompatibleError, match=message):
        check(**{"ssl_training.policy": changes}, **view)


def test_options_that_a_policy_does_not_take_are_a_mistake():
    with pytest.raises(ConfigError, match=r"options\.x: unknown") as caught:
        check(**{"ssl_training.policy": {"name": "cutmix", "options": {"x": 1}}})
    assert not isinstance(caught.value, IncompatibleError)


def check_sl(name, loss="ce"):
    check(SL, **{"sl_training.policy.name": name, "supervised.mixed_loss.name": loss})


def test_supervised_policies_likewise():
    for name in ("none", "mixup", "samix", "samix_p", "adautomix"):
        check_sl(name)
    with pytest.raises(IncompatibleError, match=r"sl_training\.policy: policy transmix needs the attention"):
        check_sl("transmix")
    with pytest.raises(IncompatibleError, match=r"supervised\.mixed_loss: dm_ce is for two classes"):
        check_sl("adautomix", "dm_ce")
    with pytest.raises(ConfigError, match=r"supervised.batch_size is 99, but there are 64 training images"):
        check(SL, **{"supervised.batch_size": 99})
