"""Live metrics reach the store in batches, from this process or a worker."""

import multiprocessing
import pickle

import mlflow
import pytest

from samix.kedro.tracking import MlflowSink, stage_sink


@pytest.fixture(scope="module")
def store(tmp_path_factory, new_store):
    return new_store(tmp_path_factory.mktemp("store") / "runs.db")


@pytest.fixture
def run(store):
    """A run that is active in this process."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(store)
    with mlflow.start_run(experiment_id="0") as run:
        yield run
    mlflow.set_tracking_uri(before)


def history(store, run, key):
    return [(m.step, m.value) for m in mlflow.MlflowClient(store).get_metric_history(run.info.run_id, key)]


def test_without_a_run_there_is_no_sink():
    assert stage_sink("ssl") is None


@pytest.mark.slow
def test_metrics_are_buffered_until_flushed(store, run):
    sink = stage_sink("ssl")
    for step in range(1500):  # more than a batch of MLflow holds
        sink({"loss": step / 2}, step)
    assert history(store, run, "ssl/loss") == []
    sink.flush()
    sink.flush()  # nothing is logged twice
    assert history(store, run, "ssl/loss") == [(step, step / 2) for step in range(1500)]


def test_metrics_go_out_by_themselves_after_some_time(store, run):
    sink = MlflowSink(store, run.info.run_id, "a/", seconds=0.0)
    sink({"x": 1.0}, 3)
    assert history(store, run, "a/x") == [(3, 1.0)]


@pytest.mark.slow
def test_a_spawned_worker_logs_into_the_parents_run_and_leaves_it_open(store, run, tmp_path):
    sink = pickle.loads(pickle.dumps(stage_sink("ssl")))
    sink({"loss": 2.0}, 1)
    worker = multiprocessing.get_context("spawn").Process(target=sink.flush)
    worker.start()
    worker.join(120)
    assert worker.exitcode == 0
    assert history(store, run, "ssl/loss") == [(1, 2.0)]
    assert mlflow.MlflowClient(store).get_run(run.info.run_id).info.status == "RUNNING"


def test_a_store_that_does_not_answer_costs_a_warning_only(store, run, caplog):
    sink = MlflowSink(store, "no such run", "a/")
    sink({"x": 1.0}, 0)
    sink.flush()
    assert "MLflow did not take 1 metrics" in caplog.text
    sink.run_id = run.info.run_id
    sink.flush()
    assert history(store, run, "a/x") == [(0, 1.0)]
