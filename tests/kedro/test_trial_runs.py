"""Trials under child runs: each its own, a failed one marked, none lost."""

from dataclasses import dataclass

import mlflow
import pytest

from samix.core.errors import TrainingError
from samix.kedro.tracking import child_run
from samix.pipelines.trials import run_trials


@dataclass
class FakeTrial:
    name: str
    seed: int = 0
    group: str = "g"
    host: str = "sl"


class FakeBench:
    """Figures by the name of a trial; "bad" does not converge."""

    def run(self, trial, sink):
        if trial.name == "bad":
            raise TrainingError("the loss is not finite")
        if sink is not None:
            sink({"loss": 1.0}, 3)
            sink.flush()
        return {"top1": 90.0 + trial.seed}


@pytest.fixture
def parent(tmp_path):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    with mlflow.start_run(experiment_id="0") as run:
        yield run
    mlflow.set_tracking_uri(before)


def children(parent):
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    return {run.info.run_name: run for run in mlflow.MlflowClient().search_runs(["0"], query)}


def test_a_failed_trial_costs_its_row_alone(parent):
    table = run_trials([FakeTrial("good", 1), FakeTrial("bad"), FakeTrial("good", 2)], FakeBench())
    assert table["status"].tolist() == ["finished", "failed: the loss is not finite", "finished"]
    assert table["top1"].tolist()[::2] == [91.0, 92.0]
    runs = children(parent)
    assert runs["g good seed1"].info.status == "FINISHED" and runs["g bad seed0"].info.status == "FAILED"
    assert runs["g good seed2"].data.metrics == {"top1": 92.0, "sl/loss": 1.0}
    assert runs["g good seed2"].data.params["variant"] == "good"
    assert mlflow.active_run().info.run_id == parent.info.run_id


def test_nothing_but_failures_is_an_error(parent):
    with pytest.raises(TrainingError, match="every trial failed.*not finite"):
        run_trials([FakeTrial("bad")], FakeBench())


def test_without_a_run_there_are_no_children():
    with child_run("x", {}, "sl") as sink:
        assert sink is None
