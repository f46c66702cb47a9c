"""Trials of a comparison: their settings, refused combinations, and errors raised before training."""

import pytest

from helpers.tiny_jobs import SETTINGS, digits
from samix.comparison import plan
from samix.config.comparison import ComparisonConfig
from samix.core.errors import ConfigError

pytestmark = pytest.mark.slow

VIT = {
    "model": "deit_tiny_patch16_224",
    "name": "ViT",
    "changes": {"stem": "imagenet", "channels": None, "image_size": 16, "tap": 3},
}


def trials_of(variants, **options):
    return plan("mixup_benchmark", ComparisonConfig(variants=variants, **options), SETTINGS, digits().card)


def test_every_policy_meets_every_backbone_and_seed():
    dm = {"policy": "cutmix", "name": "dm", "alpha": 3, "changes": {"supervised.mixed_loss.name": "dm_ce"}}
    wrn = {"model": "resnet18", "name": "wide", "changes": {"channels": [4, 4, 8, 16]}}
    common = {"supervised.label_smoothing": 0.1}
    lengths = {"epochs": 7, "mixer_epochs": 2}
    trials = trials_of(["none", dm], backbones=["resnet18", wrn], seeds=[3, 5], common=common, **lengths)
    assert [(trial.backbone, trial.variant, trial.seed) for trial in trials] == [
        (backbone, name, seed)
        for backbone in ("resnet18", "wide")
        for name in ("none", "dm")
        for seed in (3, 5)
    ]
    last = trials[-1].settings
    assert last.sl_training.epochs == 7 and last.mixer_pretraining_sl.epochs == 2
    assert last.supervised.label_smoothing == 0.1
    assert (last.supervised.mixed_loss.name, last.sl_training.policy.alpha) == ("dm_ce", 3)
    assert last.model.backbone.channels == (4, 4, 8, 16)
    assert (
        trials[0].settings.model == SETTINGS.model and trials[0].settings.supervised.mixed_loss.name == "ce"
    )
    assert trials[-1].about == {
        "backbone": "wide",
        "host": "sl",
        "group": "main",
        "variant": "dm",
        "policy": "cutmix",
        "alpha": 3,
        "epochs": 7,
        "seed": 5,
    }
    assert not any(trial.refused for trial in trials)


def test_the_lam_of_the_settings_holds_for_every_policy():
    trials = trials_of(["cutmix"], common={"sl_training.policy.lam": "sample"}, seeds=[0])
    assert [(trial.policy.name, trial.policy.lam) for trial in trials] == [("cutmix", "sample")]


def test_alphas_are_those_of_the_data_set_unless_an_entry_has_its_own():
    policies = ["cutmix", {"policy": "cutmix", "name": "own", "alpha": 0.7}]
    alphas = [
        [trial.policy.alpha for trial in trials_of(policies, alphas=name, seeds=[0])]
        for name in (None, "tiny_imagenet", "imagenet")
    ]
    assert alphas == [[0.2, 0.7], [1, 0.7], [0.2, 0.7]]  # of CIFAR; of Tiny; of a ResNet-18 on ImageNet


@pytest.mark.parametrize("host", ["sl", "ssl"])
def test_a_policy_that_cannot_work_on_a_backbone_is_refused(host):
    trials = trials_of(["mixup", "stackmix", "samix_p"], host=host, backbones=["resnet18", VIT], seeds=[0])
    refused = {(trial.backbone, trial.variant) for trial in trials if trial.refused}
    assert refused == {("ViT", "stackmix")}
    assert "images of one size only" in next(trial.refused for trial in trials if trial.refused)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"changes": {"sl_training.epoch": 3}}, "entry x: sl_training.epoch"),
        (
            {"changes": {"supervised.batch_size": 999}},
            "entry x, backbone resnet18: supervised.batch_size is 999",
        ),
        (
            {"options": {"spektrum": "full"}},
            "entry x: sl_training.policy: options.spektrum: unknown. Did you mean 'spectrum'",
        ),
    ],
)
def test_a_mistake_is_an_error_that_names_the_entry(entry, message):
    with pytest.raises(ConfigError, match=f"mixup_benchmark.variants, {message}"):
        trials_of(["none", {"policy": "fmix", "name": "x", **entry}])


def test_a_backbone_that_does_not_exist_is_an_error():
    with pytest.raises(ConfigError, match="entry none, backbone resnet19: .*no model 'resnet19'"):
        trials_of(["none"], backbones=["resnet19"])


def test_an_ablation_changes_parameters_and_keeps_the_policy_of_the_settings():
    variants = [
        {"name": "one", "group": "a"},
        {"name": "one", "group": "a", "host": "ssl", "changes": {"mixer_pretraining.eta": 0.1}},
    ]
    common = {"sl_training.policy": {"name": "samix", "alpha": 1.5}}
    sl, ssl = trials_of(variants, common=common, seeds=[4])
    assert (sl.policy.name, sl.policy.alpha, sl.host) == ("samix", 1.5, "sl")
    assert (ssl.policy, ssl.settings.mixer_pretraining.eta) == (SETTINGS.ssl_training.policy, 0.1)
    assert sl.title == "a one resnet18 sl seed4" and ssl.title == "a one resnet18 ssl seed4"
