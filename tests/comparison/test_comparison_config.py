"""Parameters of comparisons: short forms, names, groups, and mistakes named with the entry they are in."""

import pytest
from pydantic import ValidationError

from helpers.environments import ENVIRONMENTS, Settings
from samix.config.comparison import ComparisonConfig
from samix.core.errors import ConfigError
from samix.kedro.parameters import check_parameters
from samix.kedro.pipelines.comparison import comparison

pytestmark = pytest.mark.slow


def test_names_stand_for_entries():
    config = ComparisonConfig(
        variants=["none", {"policy": "cutmix", "name": "dm", "alpha": 0.5}], backbones=["resnet34"]
    )
    assert [(entry.title, entry.policy, entry.alpha) for entry in config.variants] == [
        ("none", "none", None),
        ("dm", "cutmix", 0.5),
    ]
    assert config.backbones[0].title == config.backbones[0].model == "resnet34"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ["mixup", "cutmixx"]}, "entry cutmixx: policy: unknown. Did you mean 'cutmix'"),
        ({"variants": [{"policy": "mixup", "alpah": 1}]}, "entry mixup: alpah: unknown; .* alpha, options"),
        ({"variants": [{"policy": "mixup", "name": "m", "alpha": 0}]}, "entry m: alpha: .*greater than 0"),
        (
            {"variants": ["mixup", "mixup"]},
            "two of group main and host sl are called mixup",
        ),
        ({"variants": [{"policy": "mixup", "label": "m"}]}, "entry mixup: label: renamed to name"),
        ({"variants": [{"changes": {}}]}, "an entry needs a name or a policy"),
        ({"variants": [{"name": "x", "alpha": 1.0}]}, "entry x: alpha and options need a `policy`"),
        ({"backbones": [{"model": "resnet18", "chanels": 1}]}, "entry resnet18: chanels: unknown"),
        ({"seeds": [1, 2, 1]}, "seeds: 1 is there twice"),
    ],
)
def test_mistakes_name_the_entry_and_the_key(changes, message):
    values = {"variants": ["mixup"], **changes}
    with pytest.raises(ValidationError, match=message):
        ComparisonConfig.model_validate(values)
    training = Settings("fashion_mnist", {}).values["training"]
    with pytest.raises(ConfigError, match=message):  # as a run tells it, before it starts
        check_parameters({"mixup_benchmark": values, "training": training}, [comparison("mixup_benchmark")])


def test_one_name_under_two_hosts_or_in_two_groups_is_no_twin():
    one = {"name": "a", "group": "x"}
    ComparisonConfig(variants=[one, {**one, "host": "ssl"}, {**one, "group": "y"}])
    with pytest.raises(ValidationError, match="two of group x and host sl are called a"):
        ComparisonConfig(variants=[one, {**one, "host": "sl", "changes": {"model.moco.queue": 3}}])


def test_groups_leave_the_plain_row_in():
    variants = [{"policy": "none", "group": None}, "mixup", {"policy": "cutmix", "group": "more"}]
    names = [
        [entry.title for entry in ComparisonConfig(variants=variants, groups=groups).chosen("x")]
        for groups in (None, ("main",), ("more",))
    ]
    assert names == [["none", "mixup", "cutmix"], ["none", "mixup"], ["none", "cutmix"]]
    with pytest.raises(ConfigError, match="mixup_benchmark.groups: nothing is of group z; there are main"):
        ComparisonConfig(variants=["mixup"], groups=("z",)).chosen("mixup_benchmark")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_has_a_plain_row_to_compare_with(name):
    config = ComparisonConfig.model_validate(Settings(name, {}).values["mixup_benchmark"])
    assert config.chosen("mixup_benchmark")[0].policy == "none" and len(config.chosen("mixup_benchmark")) > 5


def test_the_default_compares_a_dozen_variants():
    loaded = Settings("cifar10", {}).values["mixup_benchmark"]  # that of base, which it does not change
    config = ComparisonConfig.model_validate(loaded)
    assert len(config.chosen("mixup_benchmark")) > 12 and len(config.seeds) == 2
