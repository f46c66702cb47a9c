"""Mistakes in parameters stop a run before its first node, with one message."""

from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline

from samix.config.comparison import ComparisonConfig
from samix.config.stages import SSLTrainingConfig
from samix.core.errors import ConfigError
from samix.kedro.parameters import check_parameters, declared_types


def train(images: Any, config: SSLTrainingConfig | None, seed: int) -> int:
    return seed


def free(anything):
    return anything


PIPELINES = [
    Pipeline(
        [
            Node(train, ["images", "params:ssl_training", "params:seed"], "a"),
            Node(free, "params:free.inner", "b"),
        ]
    )
]
GOOD = {"ssl_training": {"policy": {"name": "cutmix"}}, "seed": 0, "free": {"inner": object()}}


def message(**changes):
    with pytest.raises(ConfigError) as caught:
        check_parameters({**GOOD, **changes}, PIPELINES)
    return str(caught.value)


def test_good_parameters_pass():
    check_parameters(GOOD, PIPELINES)
    check_parameters({**GOOD, "ssl_training": None}, PIPELINES)
    assert declared_types(PIPELINES) == {
        "ssl_training": SSLTrainingConfig | None,
        "seed": int,
        "free.inner": Any,
    }


def test_an_unknown_top_level_key_is_named_with_its_neighbours():
    assert message(sed=1) == (
        "1 parameter cannot be used:\n  sed: unknown. Did you mean 'seed'? Known: free, seed, ssl_training."
    )


def test_an_unknown_nested_key_is_named_with_its_neighbours():
    text = message(ssl_training={"policy": {"nme": "cutmix"}})
    assert "ssl_training.policy.nme: unknown. Did you mean 'name'? Known: alpha, lam, name, options." in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"ssl_training": {"epochs": 0}},
            "ssl_training.epochs = 0: Input should be greater than or equal to 1.",
        ),
        (
            {"ssl_training": {"policy": {"name": "cutmx"}}},
            "ssl_training.policy.name = 'cutmx': unknown. Did you mean 'cutmix'",
        ),
        (
            {"ssl_training": {"policy": {"name": "gridmix", "options": {"cell": 4}}}},
            "ssl_training.policy.options.cell: unknown. Did you mean 'cells'? Known: cells, form.",
        ),
        ({"ssl_training": {"epochs": "ten"}}, "ssl_training.epochs = 'ten': Input should be a valid integer"),
        ({"ssl_training": 3}, "ssl_training = 3: Input should be a valid dictionary"),
        ({"seed": "abc"}, "seed = 'abc': Input should be a valid integer"),
        ({"free": {}}, "free.inner: missing."),
    ],
)
def test_a_value_at_fault_is_named_with_what_is_allowed(changes, expected):
    assert expected in message(**changes)


def test_all_mistakes_come_at_once():
    text = message(sed=1, seed="abc", ssl_training={"epochs": 0, "epoch": 1})
    assert text.startswith("4 parameters cannot be used:\n")
    assert len(text.splitlines()) == 5


def compare(config: ComparisonConfig) -> None:
    """A node with a list of models."""


def test_a_mistake_inside_a_list_is_named_by_its_place_and_name():
    pipelines = [Pipeline([Node(compare, "params:ablation", None)])]
    variants = [{"name": "one"}, {"name": "two", "changes": {}, "hots": "ssl"}]
    with pytest.raises(ConfigError, match=r"ablation\.variants\.1 = .*: entry two: hots: unknown; .* host"):
        check_parameters({"ablation": {"variants": variants}}, pipelines)
