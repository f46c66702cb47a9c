"""Settings that cannot work are named before anything trains."""

import sys

import pytest
import torch

from helpers.tiny_jobs import MODEL
from samix.config.clustering import ClusteringConfig
from samix.config.detection import DetectionConfig
from samix.config.mixing import PolicyConfig
from samix.config.stages import LinearEvaluationConfig, PseudoLabelsConfig
from samix.config.supervised import MixedLossConfig, SupervisedConfig
from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError, DependencyError
from samix.jobs.checks import check_settings, check_supervised_settings

CARD = {"counts": {"train": 64, "test": 40}, "image_size": 16, "mean": [0.5] * 3, "std": [0.2] * 3}


def check(
    *,
    backbone=None,
    moco=None,
    training=None,
    labels=None,
    clustering=None,
    linear=None,
    detection=None,
    policy=None,
):
    """`check_settings` on settings that work, but for the changes."""
    model = MODEL.model_copy(
        update={
            "backbone": MODEL.backbone.model_copy(update=backbone or {}),
            "moco": MODEL.moco.model_copy(update=moco or {}),
        }
    )
    clusters = ClusteringConfig(**{"clusters": 4, "faiss_device": "cpu", **(clustering or {})})
    check_settings(
        CARD,
        model,
        TrainingConfig(work_dir="work", **{"device": "cpu", **(training or {})}),
        PseudoLabelsConfig(**{"batch_size": 16, "clustering": clusters, **(labels or {})}),
        LinearEvaluationConfig(**{"batch_size": 16, **(linear or {})}),
        DetectionConfig(**(detection or {})),
        PolicyConfig(**(policy or {"name": "samix_p"})),
    )


def test_settings_that_work():
    check()
    check(
        moco={"queue": 64},
        training={"devices": 2},
        clustering={"clusters": 32},
        linear={"knn_neighbours": 64},
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"moco": {"queue": 8}}, r"moco.queue \(8\) is shorter than model.moco.batch_size \(16\)"),
        ({"moco": {"queue": 40}}, r"moco.queue \(40\) must be a multiple of model.moco.batch_size \(16\)"),
        ({"moco": {"queue": 80}}, r"moco.queue \(80\) is longer than the data set \(64 training images\)"),
        ({"moco": {"batch_size": 65}}, "moco.batch_size is 65, but there are 64 training images"),
        ({"labels": {"batch_size": 65}}, "pseudo_labels.batch_size is 65, but there are 64 training"),
        ({"linear": {"batch_size": 65}}, "linear_evaluation.batch_size is 65, but there are 64 training"),
        ({"linear": {"knn_neighbours": 65}}, "linear_evaluation.knn_neighbours is 65, but there are 64"),
        ({"clustering": {"clusters": 65}}, "pseudo_labels.clustering.clusters is 65, but there are 64"),
        ({"clustering": {"clusters": 33}}, "clusters: 33 of min_cluster: 2 members need more than the 64"),
        ({"clustering": {"clusters": 5, "min_cluster": 13}}, "5 of min_cluster: 13 members need more"),
        ({"labels": {"init": "given", "init_weights": "no.safetensors"}}, "there is no file no.safetensors"),
        ({"training": {"devices": 3}}, r"moco.batch_size is 16, which training.devices \(3\) cannot share"),
        (
            {"training": {"devices": 2}, "linear": {"batch_size": 15}},
            r"linear_evaluation.batch_size is 15, which training.devices \(2\) cannot share",
        ),
        (
            {"training": {"devices": 2}, "detection": {"batch_size": 7}},
            r"detection_transfer.batch_size is 7, which training.devices \(2\) cannot share",
        ),
        ({"backbone": {"name": "resnet19"}}, "backbone.name: timm has no model 'resnet19'"),
        ({"backbone": {"tap": 9}}, "backbone.tap: resnet18 has no stage 9"),
        (
            {"detection": {"source": "voc", "root": "/no/voc"}},
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
        check(training={"device": "gpu"})


def test_faiss_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(DependencyError, match="needs faiss, which is not installed: install faiss-cpu"):
        check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": {"name": "adautomix"}}, r"ssl_training\.policy: policy adautomix reads the logits"),
        ({"policy": {"name": "transmix"}}, r"ssl_training\.policy: policy transmix needs the attention"),
        (
            {"policy": {"name": "fmix", "lam": "sample"}},
            r"policy\.lam: policy fmix takes one lam a batch",
        ),
        ({"policy": {"name": "cutmix", "options": {"x": 1}}}, r"policy\.options of cutmix"),
        (
            {"policy": {"name": "manifoldmix"}, "moco": {"cross_view": "swap"}},
            "policy manifoldmix mixes features of two images of one view",
        ),
    ],
)
def test_policies_that_cannot_work_are_refused_before_training(changes, message):
    with pytest.raises(ConfigError, match=message):
        check(**changes)


def check_sl(policy, loss="ce"):
    supervised = SupervisedConfig(batch_size=16, mixed_loss=MixedLossConfig(name=loss))
    training = TrainingConfig(work_dir="work", device="cpu")
    check_supervised_settings(CARD, MODEL, training, supervised, PolicyConfig(**policy))


def test_supervised_policies_likewise():
    for name in ("none", "mixup", "samix", "samix_p", "adautomix"):
        check_sl({"name": name})
    with pytest.raises(ConfigError, match=r"sl_training\.policy: policy transmix needs the attention"):
        check_sl({"name": "transmix"})
    with pytest.raises(ConfigError, match=r"supervised\.mixed_loss: dm_ce is for two classes"):
        check_sl({"name": "adautomix"}, "dm_ce")
