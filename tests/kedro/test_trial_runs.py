"""Trials under child runs: each its own, a failed one marked, none lost."""

import signal

import mlflow
import pytest

from helpers.tiny_jobs import SETTINGS
from samix.comparison import Trial
from samix.core.errors import TrainingError
from samix.kedro.interrupts import Interrupted
from samix.kedro.tracking import child_run
from samix.kedro.trials import TimeLeft, run_trials


def trial(name, seed=0, refused=None, host="sl"):
    fields = {"group": "g", "variant": name, "host": host, "backbone": "r18", "seed": seed}
    return Trial(**fields, settings=SETTINGS, refused=refused)


class FakeComparison:
    """Figures by the name of a trial; some do not get that far."""

    def run(self, trial, sink):
        if trial.variant == "bad":
            raise TrainingError("the loss is not finite")
        if trial.variant == "big":
            raise RuntimeError("out of memory")
        if trial.variant == "stopped":
            raise Interrupted(signal.SIGTERM)
        if sink is not None:
            sink({"loss": 1.0}, 3)
            sink.flush()
        return {"top1": 90.0 + trial.seed}


@pytest.fixture
def parent(tmp_path, new_store):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(new_store(tmp_path / "runs.db"))
    with mlflow.start_run(experiment_id="0") as run:
        yield run
    mlflow.set_tracking_uri(before)


def children(parent):
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    return {run.info.run_name: run for run in mlflow.MlflowClient().search_runs(["0"], query)}


def test_a_failed_trial_costs_its_row_alone(parent):
    table = run_trials([trial("good", 1), trial("bad"), trial("big"), trial("good", 2)], FakeComparison())
    failed = ["failed: the loss is not finite", "failed: RuntimeError: out of memory"]
    assert table["status"].tolist() == ["finished", *failed, "finished"]
    assert table["top1"].tolist()[::3] == [91.0, 92.0]
    runs = children(parent)
    assert (
        runs["g good r18 sl seed1"].info.status == "FINISHED"
        and runs["g bad r18 sl seed0"].info.status == "FAILED"
    )
    assert runs["g good r18 sl seed2"].data.metrics == {"top1": 92.0, "sl/loss": 1.0}
    assert runs["g good r18 sl seed2"].data.params["variant"] == "good"
    assert mlflow.active_run().info.run_id == parent.info.run_id


def test_nothing_but_failures_is_an_error(parent):
    with pytest.raises(TrainingError, match="every trial failed.*not finite"):
        run_trials([trial("bad")], FakeComparison())
    with pytest.raises(TrainingError, match="every trial failed.*refused: no attention"):
        run_trials([trial("good", refused="no attention")], FakeComparison())


def test_what_is_refused_has_a_row_and_is_not_tried(parent):
    table = run_trials([trial("bad", refused="no attention"), trial("good")], FakeComparison())
    assert table["status"].tolist() == ["refused: no attention", "finished"]
    assert list(children(parent)) == ["g good r18 sl seed0"]


def test_each_refusal_is_logged_once_per_host_and_group(parent, caplog):
    refused = [trial("one", seed, host=host, refused=host) for host in ("sl", "ssl") for seed in (0, 1)]
    run_trials([*refused, trial("good")], FakeComparison())
    warnings = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert warnings == ["g one r18 sl is refused: sl", "g one r18 ssl is refused: ssl"]


def test_a_signal_ends_the_run():
    with pytest.raises(Interrupted):
        run_trials([trial("good"), trial("stopped"), trial("good", 1)], FakeComparison())


def test_time_left_is_judged_by_what_was_trained():
    clock = TimeLeft(10)
    clock.add(0.1)  # found finished
    assert clock.left() == ""
    clock.add(200)
    clock.add(100)
    assert clock.left() == ", about 18 min left"  # 7 of 150 seconds


def test_one_name_under_two_hosts_has_two_rows():
    class Hosts(FakeComparison):
        def run(self, trial, sink):
            return {"top1": {"sl": 90.0, "ssl": 60.0}[trial.host]}

    trials = [trial("one", host=host) for host in ("sl", "ssl")]
    table = run_trials(trials, Hosts())
    assert list(zip(table["host"], table["top1"], strict=True)) == [("sl", 90.0), ("ssl", 60.0)]
    assert len({trial.title for trial in trials}) == 2


def test_without_a_run_there_are_no_children():
    with child_run("x", {}, "sl") as sink:
        assert sink is None
