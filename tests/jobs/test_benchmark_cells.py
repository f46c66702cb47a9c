"""The benchmark's cells: what they are, what is refused, and what is an error before anything trains."""

import pytest

from helpers.tiny_jobs import SETTINGS, digits
from samix.config.benchmark import BenchmarkConfig
from samix.config.training import TrainingConfig
from samix.core.errors import ConfigError
from samix.jobs.benchmark import plan
from samix.jobs.trials import Bench

VIT = {
    "model": "deit_tiny_patch16_224",
    "label": "ViT",
    "changes": {"stem": "imagenet", "channels": None, "image_size": 16, "tap": 3},
}


@pytest.fixture
def bench(tmp_path):
    training = TrainingConfig(device="cpu", threads=1, work_dir=tmp_path, log_every=1)
    return Bench(digits().card, digits().manifest, training)


def cells_of(bench, policies, **options):
    return plan(BenchmarkConfig(policies=policies, **options), SETTINGS, bench)


def test_every_policy_meets_every_backbone_and_seed(bench):
    dm = {"policy": "cutmix", "label": "dm", "alpha": 3, "changes": {"supervised.mixed_loss.name": "dm_ce"}}
    wrn = {"model": "resnet18", "label": "wide", "changes": {"channels": [4, 4, 8, 16]}}
    common = {"supervised.label_smoothing": 0.1}
    lengths = {"epochs": 7, "mixer_epochs": 2}
    cells = cells_of(bench, ["none", dm], backbones=["resnet18", wrn], seeds=[3, 5], common=common, **lengths)
    assert [(cell.group, cell.name, cell.seed) for cell in cells] == [
        (backbone, name, seed)
        for backbone in ("resnet18", "wide")
        for name in ("none", "dm")
        for seed in (3, 5)
    ]
    last = cells[-1].settings
    assert last.sl_training.epochs == 7 and last.mixer_pretraining_sl.epochs == 2
    assert last.supervised.label_smoothing == 0.1
    assert (last.supervised.mixed_loss.name, last.sl_training.policy.alpha) == ("dm_ce", 3)
    assert last.model.backbone.channels == (4, 4, 8, 16)
    assert cells[0].settings.model == SETTINGS.model and cells[0].settings.supervised.mixed_loss.name == "ce"
    assert cells[-1].about == {
        "backbone": "wide",
        "label": "dm",
        "policy": "cutmix",
        "alpha": 3,
        "epochs": 7,
        "host": "sl",
        "seed": 5,
    }
    assert not any(cell.refused for cell in cells)


def test_alphas_are_those_of_the_data_set_unless_an_entry_has_its_own(bench):
    policies = ["cutmix", {"policy": "cutmix", "label": "own", "alpha": 0.7}]
    alphas = [
        [cell.policy.alpha for cell in cells_of(bench, policies, alphas=name, seeds=[0])]
        for name in (None, "tiny_imagenet", "imagenet")
    ]
    assert alphas == [[0.2, 0.7], [1, 0.7], [0.2, 0.7]]  # of CIFAR; of Tiny; of a ResNet-18 on ImageNet


@pytest.mark.parametrize("host", ["sl", "ssl"])
def test_a_policy_that_cannot_work_on_a_backbone_is_refused(bench, host):
    cells = cells_of(
        bench, ["mixup", "stackmix", "samix_p"], host=host, backbones=["resnet18", VIT], seeds=[0]
    )
    refused = {(cell.group, cell.name) for cell in cells if cell.refused}
    assert refused == {("ViT", "stackmix")}
    assert "images of one size only" in next(cell.refused for cell in cells if cell.refused)
    assert not list(bench.training.work_dir.iterdir())  # nothing was trained to find out


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"changes": {"sl_training.epoch": 3}}, "entry x: sl_training.epoch"),
        (
            {"changes": {"supervised.batch_size": 999}},
            "entry x, backbone resnet18: supervised.batch_size is 999",
        ),
        ({"options": {"spektrum": "full"}}, "entry x, backbone resnet18: policy.options of fmix: .*spektrum"),
    ],
)
def test_a_mistake_is_an_error_that_names_the_entry(bench, entry, message):
    with pytest.raises(ConfigError, match=f"mixup_benchmark.policies, {message}"):
        cells_of(bench, ["none", {"policy": "fmix", "label": "x", **entry}])


def test_a_backbone_that_does_not_exist_is_an_error(bench):
    with pytest.raises(ConfigError, match="entry none, backbone resnet19: .*no model 'resnet19'"):
        cells_of(bench, ["none"], backbones=["resnet19"])
