"""Parameters that are renamed since earlier versions: an old name stops the run with the new one."""

import re
from typing import get_args

import pytest
from pydantic import BaseModel

from helpers.environments import CONF
from samix import settings
from samix.config.keys import model_at
from samix.core.errors import ConfigError
from samix.kedro.config_loader import ProjectConfigLoader
from samix.kedro.parameters import check_parameters, declared_types
from samix.pipeline_registry import register_pipelines

RENAMED = {
    "model.moco.momentum": "model.moco.ema",
    "supervised.momentum": "supervised.ema",
    "pseudo_labels.clustering.momentum": "pseudo_labels.clustering.new_feature_weight",
    "mixup_benchmark.policies": "mixup_benchmark.variants",
}
"""Every key that has another name today; other keys of earlier versions are the same, or are gone."""
RENAMED_IN_ENTRIES = {
    "mixup_benchmark.variants": ({"policy": "cutmix", "label": "mine"}, "label", "name"),
    "mixup_benchmark.backbones": ({"model": "resnet18", "label": "mine"}, "label", "name"),
}
"""The same for keys of the entries of a list: list -> an entry with the old key, that key, the new one."""


@pytest.fixture(scope="module")
def pipelines():
    return register_pipelines().values()


def message_for(key, value, pipelines):
    """The message of `kedro run --params=key=value` with the parameters of conf/base."""
    for part in reversed(key.split(".")):
        value = {part: value}
    loader = ProjectConfigLoader(str(CONF), runtime_params=value, **settings.CONFIG_LOADER_ARGS)
    with pytest.raises(ConfigError) as caught:
        check_parameters(loader["parameters"], pipelines)
    return str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_key_stops_the_run_with_the_new_key(old, new, pipelines):
    text = message_for(old, 0.5, pipelines)
    assert text == f"1 parameter cannot be used:\n  {old}: renamed to {new}."


@pytest.mark.slow
@pytest.mark.parametrize(("key", "entry"), RENAMED_IN_ENTRIES.items())
def test_an_old_key_of_an_entry_stops_the_run_with_the_new_key(key, entry, pipelines):
    value, old, new = entry
    text = message_for(key, ["mixup", value], pipelines)
    assert re.search(rf"^1 .*\n  {key}\.1 = .*: entry \w+: {old}: renamed to {new}\.$", text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "section", ["model.moco", "supervised", "mixer_pretraining", "linear_evaluation", "detection_transfer"]
)
def test_an_old_name_of_sgd_stops_the_run_with_the_new_one(section, pipelines):
    key = f"{section}.optimizer.name"
    text = message_for(key, "momentum", pipelines)
    assert text.endswith(f"{key} = 'momentum': SGD is called sgd: set name: sgd and nesterov: false.")


def test_the_new_keys_exist(pipelines):
    types = declared_types(pipelines)
    for key in [*RENAMED.values(), *(f"{key}.{new}" for key, (_, _, new) in RENAMED_IN_ENTRIES.items())]:
        section, *path, last = key.split(".")
        assert last in model_at(types[section], path).model_fields, key


def test_every_renamed_key_is_in_the_list(pipelines):
    """The models declare the old keys that are listed above, and no others."""
    types = declared_types(pipelines)
    old = [*RENAMED, *(f"{key}.{old}" for key, (_, old, _) in RENAMED_IN_ENTRIES.items())]
    paths = [key.split(".") for key in old]
    listed = {(model_at(types[section], path), last) for section, *path, last in paths}
    models = {model for annotation in types.values() for model in all_models(annotation)}
    assert {(model, key) for model in models for key in getattr(model, "renamed", ())} == listed


def all_models(annotation):
    """The models of an annotation and of their fields, whatever they are wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from all_models(field.annotation)
    for part in get_args(annotation):
        yield from all_models(part)
