"""Every option is set in a configuration, a page or a benchmark; every variant of the ablations is valid."""

import ast
import copy
import re
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from samix import settings
from samix.kedro.config_loader import ProjectConfigLoader
from samix.kedro.parameters import check_parameters, declared_types
from samix.pipeline_registry import register_pipelines

ROOT = Path(__file__).parents[1]
COMPARISONS = ("samix_ablation", "mixup_benchmark")
"""Sections that are lists of entries which users write; their files explain the keys."""
NAMES = {("PolicyConfig", "name"), ("DataConfig", "source")}
"""Fields whose values are names of policies and data sources, which have tables of their own."""


def models_in(annotation):
    """The pydantic models of an annotation, inside unions and containers as well."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def choices_of(annotation):
    """The values of the Literals of an annotation."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from choices_of(part)


def option(model, key):
    """(class, field), of the class that declares the field first: subclasses share it."""
    owner = [kind for kind in model.__mro__ if key in vars(kind).get("__annotations__", {})][-1]
    return owner.__name__, key


@cache
def sections():
    """Top-level key -> the model of its values."""
    types = declared_types(register_pipelines().values())
    return {key: model for key, kind in types.items() for model in models_in(kind)}


@cache
def models():
    """All models that parameters are made of, but for those of comparisons."""
    found, rest = set(), [model for key, model in sections().items() if key not in COMPARISONS]
    while rest:
        model = rest.pop()
        if model not in found:
            found.add(model)
            rest += [one for field in model.model_fields.values() for one in models_in(field.annotation)]
    return found


class Uses:
    """Options, and (class, field, value) of those with choices, that were seen."""

    def __init__(self):
        self.options, self.values = set(), set()

    def see(self, model, key, value):
        """A key of a model, with a value as YAML has it."""
        self.options.add(option(model, key))
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                self.values.add((*option(model, key), str(one)))
        for inner in models_in(model.model_fields[key].annotation):
            self.nested(inner, value)

    def nested(self, model, value):
        """A mapping, or a list of mappings, that a model is made of."""
        for one in value if isinstance(value, list) else [value]:
            for key in one.keys() & model.model_fields.keys() if isinstance(one, dict) else ():
                self.see(model, key, one[key])

    def dotted(self, name, value):
        """A parameter by its dotted name; other names are left alone."""
        section, *path = name.split(".")
        model = sections().get(section)
        while path and model is not None and path[0] in model.model_fields:
            key = path.pop(0)
            if path:
                self.see(model, key, None)
                model = next(models_in(model.model_fields[key].annotation), None)
            else:
                self.see(model, key, value)

    def page(self, text):
        """`--params=a.b=1,c.d=2` and blocks of YAML in a page, a comment or a script."""
        for name, value in re.findall(r"\b(\w+(?:\.\w+)+)=([^\s,`]+)", text):
            self.dotted(name, value)
        for block in re.findall(r"```yaml\n(.*?)```", text, re.S):
            self.parameters(yaml.safe_load(block))

    def parameters(self, values):
        """A file of parameters."""
        for key in values.keys() & sections().keys():
            self.nested(sections()[key], values[key])
        for section in values.keys() & set(COMPARISONS):
            lists = [part for part in values[section].values() if isinstance(part, list)]
            entries = [entry for part in lists for entry in part if isinstance(entry, dict)]
            changes = [entry.get("changes", {}) for entry in entries]
            for name, value in [
                pair for one in [*changes, values[section].get("common", {})] for pair in one.items()
            ]:
                self.dotted(name, value)

    def script(self, text):
        """Calls of the models in Python."""
        kinds = {model.__name__: model for model in models()}
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in kinds:
                for keyword in (one for one in node.keywords if one.arg):
                    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                    self.see(kinds[node.func.id], keyword.arg, value)


def commented(text):
    """(key, word) for each word of the comment that follows a key on its line."""
    lines = re.findall(r"^\s*(\w+):[^#\n]*#(.*)$", text, re.M)
    return {(key, word) for key, comment in lines for word in re.findall(r"\w+", comment)}


@cache
def uses():
    found, words = Uses(), set()
    for path in ROOT.glob("conf/*/*.yml"):
        text = path.read_text()
        found.page(text)
        words |= commented(text)
        values = yaml.safe_load(text)
        if isinstance(values, dict):
            found.parameters(values)
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]:
        found.page(path.read_text())
    for path in set(ROOT.glob("benchmarks/*.py")) - {ROOT / "benchmarks/same_bits_first.py"}:  # of an old API
        found.page(path.read_text())
        found.script(path.read_text())
    return found, words


def test_every_option_is_set_somewhere():
    found, _ = uses()
    unset = {option(model, key) for model in models() for key in model.model_fields} - found.options
    assert not unset, "set it in conf/, docs/ or benchmarks/, or make it a constant"


def test_every_choice_of_an_option_is_the_default_or_named_somewhere():
    found, words = uses()
    unnamed = {
        (*option(model, key), str(value))
        for model in models()
        for key, field in model.model_fields.items()
        for value in choices_of(field.annotation)
        if option(model, key) not in NAMES and value != field.default and (key, str(value)) not in words
    }
    assert not unnamed - found.values, "set it in conf/, docs/ or benchmarks/, or take it away"


def test_what_is_seen_is_what_is_set():
    """The two tests above can fail: an option that nothing sets is not seen."""
    found = Uses()
    found.parameters({"training": {"devices": 1}, "nothing": {"threads": 2}})
    found.page("kedro run --params=training.precision=bf16,training.nothing=1,other.threads=3")
    assert found.options == {("TrainingConfig", "devices"), ("TrainingConfig", "precision")}
    assert ("TrainingConfig", "precision", "bf16") in found.values
    found.script("OptimizerConfig(lr=0.1, name='sgd'); Other(warmup=1)")
    assert {("OptimizerConfig", "lr"), ("OptimizerConfig", "name")} < found.options
    assert ("OptimizerConfig", "warmup") not in found.options
    assert commented("  a: 1 # one, two\n# b: three") == {("a", "one"), ("a", "two")}


@cache
def base():
    return ProjectConfigLoader(str(ROOT / "conf"), **settings.CONFIG_LOADER_ARGS)["parameters"]


def with_changes(values, changes):
    """A copy of the parameters with some replaced by their dotted names."""
    changed = copy.deepcopy(values)
    for name, value in changes.items():
        *path, last = name.split(".")
        part = changed
        for key in path:
            part = part.setdefault(key, {})
        part[last] = value
    return changed


ABLATION = yaml.safe_load((ROOT / "conf/base/parameters_samix_ablation.yml").read_text())["samix_ablation"]
VARIANTS = {f"{one['group']}, {one['name']}, {one.get('host')}": one for one in ABLATION["variants"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_changes_of_every_variant_are_valid(variant, pipelines):
    changes = ABLATION["common"] | VARIANTS[variant].get("changes", {})
    check_parameters(with_changes(base(), changes), pipelines)


@pytest.fixture(scope="module")
def pipelines():
    return register_pipelines().values()


def test_a_default_run_of_the_ablations_stays_small():
    assert ABLATION["groups"] == ["modules"]
    assert len(VARIANTS) == len(ABLATION["variants"]), "two variants have one name"
    assert {one["group"] for one in VARIANTS.values()} > {"modules", "losses", "code_against_paper"}


def test_variants_of_a_group_differ():
    kinds = [
        (one["group"], one.get("host", "sl"), sorted(map(str, one.get("changes", {}).items())))
        for one in VARIANTS.values()
    ]
    twice = [kind for place, kind in enumerate(kinds) if kind in kinds[:place]]
    assert not twice
