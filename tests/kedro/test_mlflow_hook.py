"""Contents of MLflow's store after a run."""

import json

import mlflow
import pytest

from samix.core.errors import ConfigError, TrainingError
from samix.kedro.interrupts import Interrupted
from samix.kedro.mlflow_hook import _param

pytestmark = pytest.mark.slow


@pytest.fixture
def finished(project):
    project.run("chain", seed=3, ssl_training={"policy": {"name": "cutmix"}, "note": "x" * 7000})
    return project.runs()[0]


def test_a_run_says_what_it_was(project, finished):
    assert finished.info.status == "FINISHED"
    assert finished.info.run_name == "chain digits cutmix seed3"
    tags = finished.data.tags
    assert tags["pipeline"] == "chain"
    assert tags["environment"] == "base"
    assert tags["policy"] == "cutmix"
    assert tags["seed"] == "3"
    assert tags["data_checksum"] == "digits-3"
    assert tags["kedro_command"].startswith("kedro run --pipelines=chain --params=")
    for package in ("python", "torch", "torchvision", "timm", "kedro", "mlflow", "samix"):
        assert tags[f"version.{package}"]
    assert not [key for key, value in tags.items() if str(project.path) in value]

    params = finished.data.params
    assert params["seed"] == "3"
    assert params["ssl_training.policy.name"] == "cutmix"
    assert json.loads(params["data_preparation.shape"]) == [2, 3]
    assert set(params["ssl_training.note"]) == {"x"}
    assert len(params["ssl_training.note"]) == 6000

    # live values, not overwritten by the figure at the end, which is logged only if it is new
    history = project.client.get_metric_history(finished.info.run_id, "ssl/loss")
    assert [(metric.step, metric.value) for metric in history] == [(n, 1 / (n + 1)) for n in range(5)]
    assert finished.data.metrics == {"ssl/loss": 0.2, "ssl/top1": 0.9, "data/images": 3.0}

    artifacts = project.client.list_artifacts
    assert {file.path for file in artifacts(finished.info.run_id)} == {"ssl_training", "page.md"}
    assert [file.path for file in artifacts(finished.info.run_id, "ssl_training")] == [
        "ssl_training/net.safetensors"
    ]
    assert finished.info.artifact_uri.startswith((project.path / "mlartifacts").as_uri())


def test_the_store_lies_in_the_project(project, tmp_path):
    before = len(project.runs())
    project.run("data_preparation")
    assert len(project.runs()) == before + 1
    assert not list(tmp_path.iterdir())


def test_a_stage_alone_still_names_its_data(project):
    project.run("data_preparation", seed=5)
    project.run("ssl_training", env="other")
    run = project.runs()[0]
    assert run.info.run_name == "ssl_training folder samix_p seed0"
    assert run.data.tags["data_checksum"] == "digits-5"
    assert run.data.tags["environment"] == "other"
    assert "data_preparation.source" not in run.data.params


@pytest.mark.parametrize(
    ("fate", "error", "status"),
    [
        ("error", TrainingError, "FAILED"),
        ("bug", RuntimeError, "FAILED"),
        ("SIGINT", Interrupted, "KILLED"),
        ("SIGTERM", Interrupted, "KILLED"),
    ],
)
def test_the_end_status_is_true(project, fate, error, status):
    with pytest.raises(error):
        project.run("data_preparation", "ssl_training", ssl_training={"fate": fate})
    run = project.runs()[0]
    assert run.data.params["ssl_training.fate"] == fate
    assert run.info.status == status
    assert run.info.end_time
    assert run.data.metrics["ssl/loss"] == 0.2


def test_a_run_that_is_refused_leaves_none(project):
    before = len(project.runs())
    with pytest.raises(ConfigError):
        project.run(ssl_training={"epochs": 0})
    assert len(project.runs()) == before


@pytest.mark.parametrize(("error", "status"), [(OSError("no git"), "FAILED"), (Interrupted(2), "KILLED")])
def test_a_run_that_breaks_before_its_first_node_is_closed(project, monkeypatch, error, status):
    def fail(_):
        raise error

    monkeypatch.setattr("samix.kedro.mlflow_hook.commit", fail)
    with pytest.raises(type(error)):
        project.run("data_preparation")
    assert mlflow.active_run() is None
    assert project.runs()[0].info.status == status


def test_parameters_are_readable():
    assert _param("a", None).value == "null"
    assert _param("a", "text").value == "text"
    assert _param("a", True).value == "true"
