"""Paths in the configuration belong to the project that they are read for."""

import pytest

from samix import settings
from samix.kedro.config_loader import ProjectConfigLoader, beside

PYPROJECT = """
[tool.kedro]
package_name = "p"
project_name = "p"
kedro_init_version = "1.7.0"
"""


@pytest.fixture
def loader_of(tmp_path):
    """Makes the loader of a project that has nothing but its configuration."""

    def make(name):
        folder = tmp_path / name
        for environment in ("base", "local"):
            (folder / "conf" / environment).mkdir(parents=True)
        (folder / "pyproject.toml").write_text(PYPROJECT)
        (folder / "conf/base/parameters.yml").write_text("root: ${project:data}")
        (folder / "conf/base/catalog.yml").write_text("x: {type: p.Q, filepath: '${project:x}'}")
        return ProjectConfigLoader(str(folder / "conf"), **settings.CONFIG_LOADER_ARGS)

    return make


def test_two_projects_in_one_process_have_their_own_paths(loader_of, tmp_path):
    one, two = loader_of("one"), loader_of("two")
    assert two["parameters"]["root"] == str(tmp_path / "two/data")
    assert one["parameters"]["root"] == str(tmp_path / "one/data")
    assert two["catalog"]["x"]["filepath"] == str(tmp_path / "two/x")
    assert one["catalog"]["x"]["filepath"] == str(tmp_path / "one/x")


def test_artifacts_lie_beside_a_file_and_with_a_server_where_it_says(tmp_path):
    assert beside(f"sqlite:///{tmp_path}/runs.db", "mlartifacts") == str(tmp_path / "mlartifacts")
    assert beside("https://mlflow.example.invalid", "mlartifacts") is None
