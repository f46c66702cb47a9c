"""Policies with equal budgets on CIFAR-100: python benchmarks/supervised.py [--full] [--seeds 0 1 2]

Trains none, mixup, cutmix, samix and samix_p through the pipeline samix_ablation, and prints the table and
the MLflow run of every training. Without --full: a stratified part of the images and a quarter of ResNet-18's
widths, for a CPU; with it: all images, ResNet-18, and the paper's shortest recipe (200 epochs), for a GPU.
CIFAR-100 is read from SAMIX_DATA_ROOT or data/01_raw. Finished trainings are reused.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

PROJECT = Path(__file__).parents[1]
# alpha of the static policies: the published table's choice for CIFAR-100
ALPHAS = {"none": 1.0, "mixup": 1.0, "cutmix": 0.2, "samix": 2.0, "samix_p": 2.0}


def small_recipe(limit: int, epochs: int) -> dict[str, Any]:
    """A recipe for a CPU; with so few steps, the Mixer needs larger updates than the paper's SGD makes."""
    mixer = {"init_std": 0.3, "rescale_k": 0.25}
    optimizer = {"name": "adamw", "lr": 0.01, "min_lr": 0.0, "decay_all": False}
    return {
        "data_preparation": {"limit": limit},
        "model": {"backbone": {"channels": [16, 32, 64, 128]}, "moco": {"queue": 256}},
        "supervised": {
            "ema": {"start": 0.99, "end": None},
            "optimizer": {"min_lr": 0.0, "weight_decay": 5e-4},
        },
        "mixer_pretraining_sl": {"epochs": max(1, epochs // 2), "mixer": mixer, "optimizer": optimizer},
    }


def variants(policies: list[str]) -> list[dict[str, Any]]:
    """One variant a policy."""
    return [
        {
            "name": name,
            "group": "CIFAR-100",
            "host": "sl",
            "changes": {"sl_training.policy": {"name": name, "alpha": ALPHAS[name]}},
        }
        for name in policies
    ]


def print_runs(run_id: str) -> None:
    """Names, ids and results of the child runs."""
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{run_id}'"
    for run in reversed(client.search_runs([experiment], query)):
        top1 = run.data.metrics.get("top1", float("nan"))
        print(f"{run.info.run_id}  {top1:6.2f}  {run.info.run_name}")


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="all images, ResNet-18, 200 epochs")
    parser.add_argument("--policies", nargs="+", default=list(ALPHAS), choices=list(ALPHAS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--limit", type=int, default=5000, help="training images, without --full")
    parser.add_argument("--epochs", type=int, default=8, help="of every training, without --full")
    parser.add_argument("--precision", default="bf16", choices=["no", "bf16"])
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    arguments = parser.parse_args()
    recipe = {} if arguments.full else small_recipe(arguments.limit, arguments.epochs)
    common = {"sl_training.epochs": 200 if arguments.full else arguments.epochs}
    comparison = {"seeds": arguments.seeds, "groups": None, "common": common}
    parameters = {
        **recipe,
        "training": {"precision": arguments.precision, "threads": arguments.threads},
        "samix_ablation": {**comparison, "variants": variants(arguments.policies)},
    }
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env="cifar100", runtime_params=parameters) as session:
        session.run(pipeline_names=["samix_ablation"])
    print((PROJECT / "data/08_reporting/samix_ablation/report.md").read_text())
    print_runs(mlflow.last_active_run().info.run_id)


if __name__ == "__main__":
    main()
