"""One MLflow run a `kedro run`: parameters, tags, metrics and the right end."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook as KedroMlflowHook
from mlflow.entities import Metric, Param
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH
from pydantic import BaseModel

from samix.core.versions import versions
from samix.kedro.interrupts import signal_behind
from samix.kedro.provenance import command, commit, flatten, pipeline_name

log = logging.getLogger(__name__)

DATASET_CARD = "data_preparation.dataset_card"
COMPARISONS = ("samix_ablation", "mixup_benchmark")
"""Pipelines of many trainings."""


class MlflowHook(KedroMlflowHook):  # type: ignore[misc]
    """kedro-mlflow's hook, with typed parameters, provenance, metrics from JSON, and interrupts as KILLED."""

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Open the run under a name that tells runs apart, and log what is known before it starts."""
        parameters = plain(catalog.load("parameters"))
        options = self.mlflow_config.tracking.run
        options.name = options.name or run_name(run_params, parameters)
        # kedro-mlflow tags what is set; these mean nothing outside this process and machine
        private = dict.fromkeys(("project_path", "runner", "run_id"))
        with without_importing("IPython"):  # only to ask it whether this is a notebook
            super().before_pipeline_run({**run_params, **private}, pipeline, catalog)
        if not self._is_mlflow_enabled:
            return
        log.info("MLflow run %r", options.name)
        try:
            self._log_start(run_params, parameters, pipeline)
        except BaseException as error:
            # Kedro calls no error hook for what fails here
            mlflow.end_run("FAILED" if signal_behind(error) is None else "KILLED")
            raise

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any], is_async: bool
    ) -> None:
        """Join the run from this thread; the parameters are logged already."""
        super().before_node_run(node, catalog, {}, is_async)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """The data set's checksum, where a stage runs on an earlier run's data."""
        self._tag_checksum(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log the numbers of `<stage>.metrics`, "linear.top1" as linear/top1, and the data set's checksum."""
        self._tag_checksum(dataset_name, data)
        if dataset_name.endswith(".metrics") and self._tracks():
            # a metric that was followed live ends in this figure already
            live = self._client.get_run(self.run_id).data.metrics
            figures = [figure for figure in _metrics(data) if figure.key not in live]
            self._client.log_batch(self.run_id, metrics=figures)

    @hook_impl
    def on_pipeline_error(
        self,
        error: Exception,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
    ) -> None:
        """End the run as KILLED where a signal stopped it, else as FAILED."""
        if signal_behind(error) is None or not self._tracks() or self._already_active_mlflow:
            super().on_pipeline_error(error, run_params, pipeline, catalog)
        else:
            mlflow.end_run("KILLED")
            self._client.set_terminated(self.run_id, "KILLED")

    def _log_start(self, run_params: dict[str, Any], parameters: dict[str, Any], pipeline: Pipeline) -> None:
        used = {name.split(":", 1)[1] for name in pipeline.inputs() if name.startswith("params:")}
        values = flatten({key: value for key in sorted(used) if (value := _at(parameters, key)) is not None})
        self._client.log_batch(self.run_id, params=[_param(key, value) for key, value in values.items()])
        mlflow.set_tags(
            {
                "pipeline": pipeline_name(run_params),
                "environment": run_params["env"] or "base",
                "kedro_command": command(run_params),
                "mlflow.source.name": "kedro run",
                **_headline(pipeline_name(run_params), parameters),
                **{f"version.{name}": version for name, version in versions().items()},
                **commit(Path(run_params["project_path"])),
            }
        )

    def _tag_checksum(self, dataset_name: str, data: Any) -> None:
        if dataset_name == DATASET_CARD and self._tracks():
            self._client.set_tag(self.run_id, "data_checksum", data["checksum"])

    def _tracks(self) -> bool:
        return bool(self._is_mlflow_enabled and self.run_id)

    @property
    def _client(self) -> mlflow.MlflowClient:
        client: mlflow.MlflowClient = self.mlflow_config.server._mlflow_client
        return client


@contextmanager
def without_importing(package: str) -> Iterator[None]:
    """While it lasts, a package that is not loaded yet is as if it were not installed."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


def run_name(run_params: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """Name by which runs are compared in MLflow's table, such as "samix_ssl digits samix_p seed0"."""
    headline = _headline(pipeline_name(run_params), parameters)
    words = [headline.get("data"), headline.get("policy"), "seed" in headline and f"seed{headline['seed']}"]
    return " ".join([pipeline_name(run_params), *(word for word in words if word)])


def plain(value: Any) -> Any:
    """Parameters as JSON values: the models that Kedro has built are taken apart again."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return value


def _headline(pipeline: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What tells runs apart at a glance; what a project does not have is left out."""
    keys = {"data": "data_preparation.source"}
    if pipeline not in COMPARISONS:  # their child runs have policies and seeds of their own
        trained = "sl_training" if "sl" in pipeline.split("_") else "ssl_training"
        keys |= {"policy": f"{trained}.policy.name", "seed": "seed"}
    found = {name: _at(parameters, key) for name, key in keys.items()}
    return {name: value for name, value in found.items() if value is not None}


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _param(key: str, value: Any) -> Param:
    text = value if isinstance(value, str) else json.dumps(value)
    return Param(key, text[:MAX_PARAM_VAL_LENGTH])


def _metrics(data: Mapping[str, Any]) -> list[Metric]:
    now = int(time.time() * 1000)
    numbers = {key: value for key, value in data.items() if isinstance(value, int | float)}
    finite = {key: value for key, value in numbers.items() if math.isfinite(value)}
    return [Metric(key.replace(".", "/"), value, now, 0) for key, value in finite.items()]
