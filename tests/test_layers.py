"""Imports point down only, and the library stands alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter import api

ROOT = Path(__file__).parents[1]

BLOCKED = ("kedro", "kedro_datasets", "kedro_mlflow", "kedro_viz", "mlflow", "faiss")
LIBRARY = [
    *("config", "core", "nn"),
    *("data", "clustering", "objectives", "mixup"),
    *("evaluation", "detection", "analysis"),
    *("methods", "training", "jobs", "stages", "comparison"),
]

IMPORT_ALL = """
import importlib, pkgutil, sys

blocked, packages = sys.argv[1].split(","), sys.argv[2].split(",")
sys.modules.update(dict.fromkeys(blocked))  # None: as if it were not installed
count = 0
for package in packages:
    module = importlib.import_module(f"samix.{package}")
    for found in pkgutil.walk_packages(module.__path__, module.__name__ + "."):
        importlib.import_module(found.name)
        count += 1
print(count)
"""


def import_library(blocked, packages=LIBRARY):
    return subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(blocked), ",".join(packages)],
        cwd=ROOT / "src",
        capture_output=True,
        text=True,
    )


def test_the_contracts_of_pyproject_hold(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert api.use_cases.lint_imports(config_filename=str(ROOT / "pyproject.toml")) == api.use_cases.SUCCESS


def test_every_package_has_its_layer():
    below = {path.name for path in (ROOT / "src/samix").iterdir() if (path / "__init__.py").exists()}
    assert below == {*LIBRARY, "kedro", "commands"}


def test_the_house_of_contributing_names_every_package():
    tree = (ROOT / "CONTRIBUTING.md").read_text().split("    src/samix/\n")[1].split("\n    docs/")[0]
    named = [line.split()[0].rstrip("/") for line in tree.splitlines()]
    packages = {path.parent.name for path in (ROOT / "src/samix").glob("*/__init__.py")}
    assert sorted(named) == sorted(packages)


@pytest.mark.slow
def test_the_library_imports_without_kedro_mlflow_and_faiss():
    result = import_library(BLOCKED)
    assert result.returncode == 0, result.stderr
    modules = [path for name in LIBRARY for path in (ROOT / "src/samix" / name).rglob("*.py")]
    assert int(result.stdout) == len(modules) - len(LIBRARY)


def test_the_blocker_blocks():
    result = import_library(["pydantic"], ["config"])
    assert result.returncode != 0
    assert "import of pydantic" in result.stderr


def test_config_and_the_declarations_of_stages_need_no_torch():
    result = import_library(["torch", "pandas"], ["config", "stages"])
    assert result.returncode == 0, result.stderr
