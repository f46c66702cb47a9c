"""The benchmark's parameters: short forms, names, groups, and mistakes told with the entry they are in."""

import pytest
from pydantic import ValidationError

from helpers.environments import ENVIRONMENTS, Settings
from samix.config.benchmark import BenchmarkConfig
from samix.core.errors import ConfigError
from samix.kedro.parameters import check_parameters
from samix.pipelines import mixup_benchmark


def test_names_stand_for_entries():
    config = BenchmarkConfig(
        policies=["none", {"policy": "cutmix", "label": "dm", "alpha": 0.5}], backbones=["resnet34"]
    )
    assert [(entry.name, entry.policy, entry.alpha) for entry in config.policies] == [
        ("none", "none", None),
        ("dm", "cutmix", 0.5),
    ]
    assert config.backbones[0].name == config.backbones[0].model == "resnet34"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policies": ["mixup", "cutmixx"]}, "entry cutmixx: policy: Input should be .*cutmix"),
        ({"policies": [{"policy": "mixup", "alpah": 1}]}, "entry mixup: alpah: unknown; .* alpha, options"),
        ({"policies": [{"policy": "mixup", "label": "m", "alpha": 0}]}, "entry m: alpha: .*greater than 0"),
        ({"policies": ["mixup", "mixup"]}, "two entries are called mixup: give one a label"),
        ({"backbones": [{"model": "resnet18", "chanels": 1}]}, "entry resnet18: chanels: unknown"),
        ({"seeds": [1, 2, 1]}, "seeds: 1 is there twice"),
    ],
)
def test_mistakes_name_the_entry_and_the_key(changes, message):
    values = {"policies": ["mixup"], **changes}
    with pytest.raises(ValidationError, match=message):
        BenchmarkConfig.model_validate(values)
    parameters = {**Settings("fashion_mnist", {}).values, "mixup_benchmark": values}
    with pytest.raises(ConfigError, match=message):  # as a run tells it, before it starts
        check_parameters({key: parameters[key] for key in ("mixup_benchmark", "training")}, [own()])


def own():
    return mixup_benchmark.create_pipeline()


def test_groups_leave_the_plain_row_in():
    policies = [{"policy": "none", "group": None}, "mixup", {"policy": "cutmix", "group": "more"}]
    names = [
        [entry.name for entry in BenchmarkConfig(policies=policies, groups=groups).chosen()]
        for groups in (None, ("main",), ("more",))
    ]
    assert names == [["none", "mixup", "cutmix"], ["none", "mixup"], ["none", "cutmix"]]
    with pytest.raises(ConfigError, match="mixup_benchmark.groups: nothing is of group z; there are main"):
        BenchmarkConfig(policies=["mixup"], groups=("z",)).chosen()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_has_a_plain_row_to_compare_with(name):
    config = BenchmarkConfig.model_validate(Settings(name, {}).values["mixup_benchmark"])
    assert config.chosen()[0].policy == "none" and len(config.chosen()) > 5


def test_the_default_compares_a_dozen_policies():
    loaded = Settings("cifar10", {}).values["mixup_benchmark"]  # that of base, which it does not change
    config = BenchmarkConfig.model_validate(loaded)
    assert len(config.chosen()) > 12 and len(config.seeds) == 2
