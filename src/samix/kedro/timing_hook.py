"""Measures the stages, remembers what they took, and prints it when the run ends."""

from __future__ import annotations

import logging
from pathlib import Path
from time import perf_counter
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node
from rich import get_console
from rich.table import Table

from samix.core.versions import versions
from samix.kedro.datasets import RunInfoDataset
from samix.kedro.provenance import command, commit, pipeline_name

log = logging.getLogger(__name__)

RUN_INFO = "reporting.run_info"


class TimingHook:
    """Seconds per stage, a stage being the namespace of its nodes."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._seconds: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._dataset: RunInfoDataset | None = None
        self._info: dict[str, Any] = {}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: CatalogProtocol[Any, Any]) -> None:
        """Note what is about to run; stages of earlier runs keep their seconds."""
        self._begin()
        dataset = catalog.get(RUN_INFO)
        if not isinstance(dataset, RunInfoDataset):
            return
        self._dataset = dataset
        self._info = {
            "command": command(run_params),
            "pipeline": pipeline_name(run_params),
            "environment": run_params["env"] or "base",
            "seed": catalog.load("parameters").get("seed"),
            "versions": versions(),
            **commit(Path(run_params["project_path"])),
            "seconds": _seconds_of(dataset),
        }
        dataset.save(self._info)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node, and say so in one line; Kedro's own names every data set."""
        log.info("%s: %s", _stage(node), node.short_name)
        self._started[node.name] = perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Add the node's time to its stage, at once also on disk: the report is a node of the same run."""
        self._stop(node)
        if self._dataset is not None:
            self._info["seconds"] |= self._seconds
            self._dataset.save(self._info)

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """A stage that failed shows in the table, but is not remembered."""
        self._stop(node)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Print the table."""
        self._print()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Print the table of what ran until then."""
        self._print()

    def _stop(self, node: Node) -> None:
        stage = _stage(node)
        seconds = perf_counter() - self._started.pop(node.name)
        self._seconds[stage] = round(self._seconds.get(stage, 0.0) + seconds, 3)

    def _print(self) -> None:
        if not self._seconds:
            return
        table = Table(title="Time of each stage")
        table.add_column("stage")
        table.add_column("seconds", justify="right")
        for stage, seconds in self._seconds.items():
            table.add_row(stage, f"{seconds:.1f}")
        table.add_section()
        table.add_row("total", f"{sum(self._seconds.values()):.1f}")
        get_console().print(table)


def _stage(node: Node) -> str:
    return str(node.namespace or node.name).split(".")[0]


def _seconds_of(dataset: RunInfoDataset) -> dict[str, float]:
    """What earlier runs left."""
    if not dataset.exists():
        return {}
    seconds: dict[str, float] = dataset.load()["seconds"]
    return seconds
