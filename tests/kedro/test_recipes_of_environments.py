"""Environments that name recipes: how they are merged, and the ones in conf/."""

import tarfile
from pathlib import Path

import pytest
import yaml

from samix import settings
from samix.core.errors import ConfigError
from samix.kedro.config_loader import RECIPES, ProjectConfigLoader
from samix.kedro.session import _check_environment

CONF = Path(__file__).parents[2] / "conf"
FILES = {path.parent.name: path for path in CONF.glob("*/parameters.yml")}


def parameters(conf, env, **params):
    loader = ProjectConfigLoader(str(conf), env=env, runtime_params=params, **settings.CONFIG_LOADER_ARGS)
    return loader["parameters"]


@pytest.fixture
def conf(tmp_path):
    """Writes files of a small conf/ from mappings."""

    def write(**files):
        files = {"base/parameters": {"a": {"x": 0, "y": 0, "z": 0}, "b": [1, 2]}, **files}
        for name, values in files.items():
            path = tmp_path / "conf" / f"{name}.yml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(values))
        return tmp_path / "conf"

    return write


def test_later_recipes_win_and_the_file_itself_wins_over_all(conf):
    files = {
        "recipes/one": {"a": {"x": 1, "y": 1}, "b": [3]},
        "recipes/two": {"a": {"y": 2, "z": 2}},
        "env/parameters": {"recipes": ["one", "two"], "a": {"z": "${a.x}"}, "c": 4},
    }
    found = parameters(conf(**files), "env")
    assert found == {"a": {"x": 1, "y": 2, "z": 1}, "b": [3], "c": 4}
    assert parameters(conf(**files), "env", a={"x": 9})["a"] == {"x": 9, "y": 2, "z": 9}


def test_a_recipe_that_two_others_name_is_merged_once_and_first(conf):
    files = {
        "recipes/common": {"a": {"x": 1, "y": 1, "z": 1}},
        "recipes/left": {"recipes": ["common"], "a": {"x": 2}},
        "recipes/right": {"recipes": ["common", "left"], "a": {"y": 3}},
        "env/parameters": {"recipes": ["left", "right"]},
    }
    assert parameters(conf(**files), "env")["a"] == {"x": 2, "y": 3, "z": 1}


def test_base_may_name_recipes_and_an_environment_without_any_is_as_kedro_reads_it(conf):
    files = {
        "base/parameters": {"recipes": ["one"], "a": {"x": 0}},
        "recipes/one": {"a": {"x": 1, "y": 1}},
        "env/parameters": {"a": {"y": 5}},
    }
    assert parameters(conf(**files), "env") == {"a": {"x": 0, "y": 5}}


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        (["onne"], r"env/parameters.yml: there is no recipe 'onne'. Did you mean 'one'\? Known: one, two\."),
        (["two"], r"recipes/two.yml: there is no recipe 'three'"),
        ("one", r"env/parameters.yml: recipes is a list of names, such as \[one\]"),
    ],
)
def test_mistakes(conf, recipes, message):
    files = {"recipes/one": {}, "recipes/two": {"recipes": ["three"]}, "env/parameters": {"recipes": recipes}}
    with pytest.raises(ConfigError, match=message):
        parameters(conf(**files), "env")


def test_the_folder_of_recipes_is_no_environment():
    _check_environment(str(CONF), "cifar100")
    with pytest.raises(ConfigError, match="There is no environment 'recipes'") as caught:
        _check_environment(str(CONF), RECIPES)
    assert "cifar100" in str(caught.value) and " recipes," not in str(caught.value)


@pytest.mark.slow
def test_the_archive_of_a_packaged_project_has_them(tmp_path):
    """As `kedro package` writes it, for --conf-source."""
    with tarfile.open(tmp_path / "conf.tar.gz", "w:gz") as archive:
        archive.add(CONF, "conf")
    for env in ("cifar100", "imagenet_swin_tiny"):
        assert parameters(tmp_path / "conf.tar.gz", env)["model"] == parameters(CONF, env)["model"]


def test_every_recipe_is_used():
    pages = [*FILES.values(), *(CONF / RECIPES).glob("*.yml")]
    named = {name for page in pages for name in yaml.safe_load(page.read_text()).get(RECIPES, [])}
    assert named == {path.stem for path in (CONF / RECIPES).glob("*.yml")}


def leaves(values, prefix=()):
    for key, value in values.items():
        yield from leaves(value, (*prefix, key)) if isinstance(value, dict) else [((*prefix, key), value)]


@pytest.mark.slow
@pytest.mark.parametrize("env", sorted(FILES.keys() - {"local", "fashion_mnist"}))
def test_an_environment_repeats_nothing_of_its_recipes(env, conf):
    own = yaml.safe_load(FILES[env].read_text())
    files = {
        f"recipes/{path.stem}": yaml.safe_load(path.read_text()) for path in (CONF / RECIPES).glob("*.yml")
    }
    files["base/parameters"] = {}
    shared = dict(leaves(parameters(conf(**files, **{"env/parameters": {RECIPES: own.pop(RECIPES)}}), "env")))
    alone = dict(leaves(parameters(conf(**files, **{"env/parameters": own}), "env")))
    assert not [path for path, value in alone.items() if path in shared and shared[path] == value]
