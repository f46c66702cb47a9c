"""The real project, copied with its configuration and run on a few images.

A chain runs once per session; each test gets a copy of the project that it left, and may change it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SMALL = {
    "data_preparation.limit": 200,
    "training.threads": 1,
    "model.moco.batch_size": 32,
    "model.moco.queue": 64,
    "pseudo_labels.init_epochs": 1,
    "pseudo_labels.epochs": 1,
    "pseudo_labels.batch_size": 64,
    "mixer_pretraining.epochs": 1,
    "ssl_training.epochs": 1,
    "linear_evaluation.epochs": 12,
    "linear_evaluation.batch_size": 64,
    "detection_transfer.epochs": 1,
    "detection_transfer.scenes.train": 16,
    "detection_transfer.scenes.test": 8,
}


@dataclass(frozen=True)
class Project:
    """A copy of the project with a store of its own."""

    path: Path
    run: Callable[..., subprocess.CompletedProcess]

    def copy(self, path):
        """The project as it is now, with its results and runs, at another place."""
        shutil.copytree(self.path, path)
        return replace(self, path=path)

    @property
    def store(self):
        return f"sqlite:///{self.path}/mlruns.db"

    def kedro(self, *arguments, **params):
        """Run kedro in the copy as a user does, on a few images."""
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
        environment.pop("MLFLOW_TRACKING_URI", None)
        given = ",".join(f"{key}={value}" for key, value in {**SMALL, **params}.items())
        return self.run("kedro", ["run", *arguments, f"--params={given}"], self.path, environment)


def run_alone(module, arguments, folder, environment):
    """`Forks.run_module` in a process that begins with nothing, as a user's does."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory, new_store, forks):
    """Makes projects that nothing has run in."""

    def make():
        path = tmp_path_factory.mktemp("e2e") / "samix"
        path.mkdir()
        for name in ("conf", "notebooks"):
            shutil.copytree(ROOT / name, path / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        for name in ("pyproject.toml", ".telemetry"):
            shutil.copy(ROOT / name, path / name)
        (path / "src").mkdir()  # Kedro wants the folder; the package itself is installed
        new_store(path / "mlruns.db")
        return Project(path, forks.run_module)

    return make


@pytest.fixture
def project(new_project):
    return new_project()


@pytest.fixture(scope="session")
def chain(new_project):
    """The project after one whole chain, and what that printed; not to be changed."""
    project = new_project()
    (project.path / "mlruns.db").unlink()  # as a user's first run finds it
    done = replace(project, run=run_alone).kedro("--pipeline=samix_ssl")
    assert done.returncode == 0, done.stdout + done.stderr
    return project, done.stdout + done.stderr


@pytest.fixture
def finished(chain, tmp_path):
    """A copy of the project after one whole chain, and what that printed."""
    project, output = chain
    return project.copy(tmp_path / "samix"), output
