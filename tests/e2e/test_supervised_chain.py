import json

import pandas as pd
import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

SUPERVISED = {"mixer_pretraining_sl.epochs": 1, "sl_training.epochs": 2}


@pytest.fixture(scope="module")
def trained(project):
    """The project after the supervised chain."""
    done = project.kedro("--pipeline=samix_sl", **SUPERVISED)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_the_chain_leaves_figures_and_a_report_of_its_own(trained):
    folder = trained.path / "data/08_reporting"
    summary = json.loads((folder / "summary_sl.json").read_text())
    stages = {"data_preparation", "mixer_pretraining_sl", "sl_training"}
    wanted = {"sl.top1", "sl.top1_mixed_q", "sl.top1_plain_q", "mixer.mask_variance"}
    assert wanted <= set(summary)
    assert {key.removeprefix("seconds.") for key in summary if key.startswith("seconds.")} == stages
    assert summary["sl.top1"] == summary["sl.top1_mixed_q"]  # a frozen Mixer leaves no momentum network
    html = (folder / "report_sl.html").read_text()
    assert html.count("data:image/png;base64,") == 5 and "sl_training" in html


def test_online_samix_reports_four_accuracies(trained):
    done = trained.kedro("--pipeline=sl_training", **SUPERVISED, **{"sl_training.policy.name": "samix"})
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((trained.path / "data/08_reporting/sl_training/metrics.json").read_text())
    assert {f"sl.top1_{head}_{net}" for head in ("plain", "mixed") for net in "qk"} <= set(metrics)
    assert metrics["sl.top1"] == metrics["sl.top1_mixed_k"]


def test_a_policy_without_a_mixer_skips_its_pretraining_and_reports_nothing_of_it(trained):
    done = trained.kedro("--pipeline=samix_sl", **SUPERVISED, **{"sl_training.policy.name": "cutmix"})
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, output
    assert "mixer_pretraining_sl: skipped, policy cutmix needs no Mixer" in output
    assert "pretrain_mixer" not in output
    folder = trained.path / "data/08_reporting"
    assert (folder / "mixer_pretraining_sl/masks.png").exists()  # of the run before
    summary = json.loads((folder / "summary_sl.json").read_text())
    assert not [key for key in summary if "mixer" in key] and summary["sl.top1"] >= 0
    html = (folder / "report_sl.html").read_text()
    assert html.count("data:image/png;base64,") == 2 and "Mixer" not in html


def test_bad_supervised_settings_stop_before_anything_trains(trained):
    done = trained.kedro("--pipeline=samix_sl", **{"supervised.batch_size": 500})
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and "supervised.batch_size is 500, but there are 200" in output
    assert "Traceback" not in output and "pretrain_mixer" not in output


def test_ablation_trains_what_is_new_and_says_what_failed(trained):
    """Two variants of the paper's list and one seed; then the same again."""
    settings = {
        **SUPERVISED,
        "samix_ablation.seeds": "[0]",
        "samix_ablation.groups": "[eta]",
    }
    first = trained.kedro("--pipeline=samix_ablation", **settings)
    assert first.returncode == 0, first.stdout + first.stderr
    again = trained.kedro("--pipeline=samix_ablation", **settings)
    output = again.stdout + again.stderr
    assert again.returncode == 0, output
    assert output.count("reusing") == 4
    table = pd.read_csv(trained.path / "data/08_reporting/samix_ablation/summary.csv")
    assert list(table["variant"]) == ["eta 0", "eta 0.25", "eta 0.5", "eta 1"]
    assert table["top1_mean"].between(0, 100).all() and (table["seconds_per_epoch"] > 0).all()
    markdown = (trained.path / "data/08_reporting/samix_ablation/report.md").read_text()
    assert "| eta | eta 0.25 | samix |" in markdown
    client = MlflowClient(trained.store)
    experiment = client.get_experiment_by_name("samix")
    parent = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    parents = [run for run in parent if run.info.run_name.startswith("samix_ablation")]
    query = f"tags.`mlflow.parentRunId` = '{parents[0].info.run_id}'"
    children = client.search_runs([experiment.experiment_id], query)
    assert len(children) == 4 and all("top1" in run.data.metrics for run in children)
    assert {run.data.params["variant"] for run in children} == set(table["variant"])
