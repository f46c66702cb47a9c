"""The benchmark as a user runs it, on a few images."""

import pandas as pd
import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

SMALL = """
mixup_benchmark:
  seeds: [3]
  epochs: 1
  variants:
    - none
    - {name: mine, policy: cutmix, alpha: 0.5}
  backbones:
    - resnet18
    - model: deit_tiny_patch16_224
      name: ViT
      changes: {stem: imagenet, channels: null, image_size: 32, tap: 3}
"""


def test_the_benchmark_leaves_tables_a_picture_a_report_and_runs(project):
    environment = project.path / "conf/small_benchmark"
    environment.mkdir()
    (environment / "parameters.yml").write_text(SMALL)
    done = project.kedro("--pipeline=mixup_benchmark", "--env=small_benchmark")
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, output
    assert "trial 4 of 4: main mine ViT sl seed3" in output
    folder = project.path / "data/08_reporting/mixup_benchmark"
    trials = pd.read_parquet(folder / "trials.parquet")
    assert len(trials) == 4 and (trials["status"] == "finished").all()
    table = pd.read_csv(folder / "summary.csv")
    assert table["variant"].tolist() == ["none", "mine"] * 2 and table["top1_mean"].between(0, 100).all()
    text = (folder / "report.md").read_text()
    assert (
        "kedro run --pipelines=mixup_benchmark --env=small_benchmark" in text
        and "| main | mine | cutmix | 0.5 |" in text
    )
    assert "200 train" in text
    assert all((folder / name).stat().st_size > 10_000 for name in ("cost.png", "results.png"))
    client = MlflowClient(project.store)
    experiment = client.get_experiment_by_name("samix").experiment_id
    runs = client.search_runs([experiment])
    (parent,) = (run for run in runs if run.data.tags.get("pipeline") == "mixup_benchmark")
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert {run.info.run_name for run in children} == {
        f"main {name} {backbone} sl seed3" for backbone in ("resnet18", "ViT") for name in ("none", "mine")
    }
    assert all("top1" in run.data.metrics for run in children)
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"report.md", "summary.csv"} <= artifacts
