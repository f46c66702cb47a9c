"""A tiny project on the real hooks and configuration, with a store of its own."""

import shutil
from pathlib import Path

import mlflow
import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project

HERE = Path(__file__).parent
CONF = HERE.parents[1] / "conf/base"


class Project:
    """Runs pipelines of the tiny project and looks into its store."""

    def __init__(self, path: Path, uri: str):
        self.path, self.uri = path, uri

    def run(self, *names, env=None, runner=None, **params):
        with settings.SESSION_CLASS.create(self.path, env=env, runtime_params=params) as session:
            session.run(pipeline_names=list(names), runner=runner)

    @property
    def client(self):
        return mlflow.MlflowClient(self.uri)

    def runs(self):
        """All runs, the newest first."""
        return self.client.search_runs(["1"], order_by=["attributes.start_time DESC"])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, new_store):
    path = tmp_path_factory.mktemp("kedro") / "tiny"
    shutil.copytree(HERE / "project", path)
    for name in ("catalog.yml", "mlflow.yml"):
        shutil.copy(CONF / name, path / "conf/base")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Project(path, new_store(path / "mlruns.db"))


@pytest.fixture
def project(tiny, monkeypatch, tmp_path):
    """The tiny project; the working directory is elsewhere, as from a notebook."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    bootstrap_project(tiny.path)
    yield tiny
    while mlflow.active_run():
        mlflow.end_run("FAILED")
