import json

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

STAGES = [
    "data_preparation",
    "pseudo_labels",
    "mixer_pretraining",
    "ssl_training",
    "linear_evaluation",
    "detection_transfer",
]


def newest(project):
    client = MlflowClient(project.store)
    experiment = client.get_experiment_by_name("samix")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    return client, runs


def test_the_chain_leaves_figures_pictures_and_times(finished):
    project, output = finished
    summary = json.loads((project.path / "data/08_reporting/summary.json").read_text())
    wanted = {
        "linear.top1",
        "linear.untrained_top1",
        "knn.top1",
        "detection.AP",
        "detection.AP50",
        "detection.scratch_AP",
        "clustering.nmi",
        *(f"seconds.{stage}" for stage in STAGES),
    }
    assert wanted <= set(summary)
    assert 0 <= summary["linear.top1"] <= 100
    assert 0 <= summary["detection.AP"] <= 1
    html = (project.path / "data/08_reporting/report.html").read_text()
    assert html.count("data:image/png;base64,") == 11
    markdown = (project.path / "data/08_reporting/report.md").read_text()
    for line in markdown.splitlines():
        if line.startswith("!["):
            picture = project.path / "data/08_reporting" / line.split("](")[1].rstrip(")")
            assert picture.read_bytes().startswith(b"\x89PNG")
    assert "Time of each stage" in output
    assert not list((project.path / "data").rglob("*.checkpoint.pt"))
    assert not list((project.path / "data").rglob(".*tmp*"))


def test_mlflow_holds_the_run(finished):
    project, _ = finished
    client, runs = newest(project)
    run = [run for run in runs if run.data.tags.get("pipeline") == "samix_ssl"][-1]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "samix_ssl digits samix_p seed0"
    summary = json.loads((project.path / "data/08_reporting/summary.json").read_text())
    for key in ("linear.top1", "knn.top1", "detection.AP", "clustering.nmi"):
        assert run.data.metrics[key.replace(".", "/")] == pytest.approx(summary[key])
    assert run.data.params["ssl_training.policy.name"] == "samix_p"
    assert run.data.params["model.moco.queue"] == "64"
    tags = run.data.tags
    card = json.loads((project.path / "data/03_primary/dataset_card.json").read_text())
    assert tags["data_checksum"] == card["checksum"]
    assert tags["environment"] == "base" and tags["pipeline"] == "samix_ssl" and tags["seed"] == "0"
    assert tags["version.torch"]
    assert len(client.get_metric_history(run.info.run_id, "mixer/mixer_local")) >= 1
    kept = {file.path for stage in [None, *STAGES] for file in client.list_artifacts(run.info.run_id, stage)}
    assert {"report.html", "summary.json", "mixer_pretraining/mixer.safetensors"} <= kept
    assert "mixer_pretraining/masks.png" in kept


def test_a_stage_runs_alone_on_what_is_there_and_reuses_it(finished):
    project, _ = finished
    done = project.kedro("--pipeline=linear_evaluation")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reusing" in done.stdout + done.stderr


def test_another_policy_trains_anew_and_is_told_apart_by_name(finished):
    project, _ = finished
    done = project.kedro("--pipelines=ssl_training", **{"ssl_training.policy.name": "cutmix"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reusing" not in done.stdout + done.stderr
    _, runs = newest(project)
    assert runs[0].info.run_name == "ssl_training digits cutmix seed0"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"ssl_training.policy.name": "cutmixx"}, ["ssl_training.policy.name", "cutmix", "samix_p"]),
        ({"ssl_trainin.epochs": 3}, ["ssl_trainin", "ssl_training"]),
        ({"mixer_pretraining.eta": 7}, ["mixer_pretraining.eta", "less than or equal to 1"]),
        ({"model.moco.queue": 2048}, ["model.moco.queue", "2048", "longer than the data set"]),
        ({"pseudo_labels.clustering.clusters": 5000}, ["clusters", "5000", "200"]),
        ({"training.device": "gpu"}, ["training.device", "gpu"]),
    ],
)
def test_bad_settings_stop_before_anything_trains(finished, params, words):
    project, _ = finished
    report = project.path / "data/08_reporting/summary.json"
    before = report.stat().st_mtime_ns
    done = project.kedro("--pipeline=samix_ssl", **params)
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    for word in words:
        assert word in output
    assert "Traceback" not in output
    assert "pseudo_labels: cluster_images" not in output
    assert report.stat().st_mtime_ns == before
