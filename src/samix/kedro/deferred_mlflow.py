"""MLflow, imported by the commands that use it and not by the others.

Its import takes longer than everything else that `kedro registry list` does.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kedro.framework.cli.utils import LazyGroup
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

if TYPE_CHECKING:
    from samix.kedro.mlflow_hook import MlflowHook

Catalog = CatalogProtocol[Any, Any]

_COMMANDS = "kedro_mlflow.framework.cli.cli"


class DeferredMlflowHook:
    """Passes every call to a MlflowHook, made with the first context: commands without one run nothing."""

    def __init__(self) -> None:
        self._made: MlflowHook | None = None

    def _hook(self) -> MlflowHook:
        if self._made is None:
            from samix.kedro.mlflow_hook import MlflowHook

            self._made = MlflowHook()
        return self._made

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read mlflow.yml, open the store, choose the experiment."""
        self._hook().after_context_created(context)

    @hook_impl
    def after_catalog_created(
        self,
        catalog: Catalog,
        conf_catalog: dict[str, Any],
        conf_creds: dict[str, Any],
        parameters: dict[str, Any],
        save_version: str,
        load_versions: dict[str, str],
    ) -> None:
        """Name kedro-mlflow's metric data sets after their entries."""
        self._hook().after_catalog_created(
            catalog, conf_catalog, conf_creds, parameters, save_version, load_versions
        )

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
        """Open the run."""
        self._hook().before_pipeline_run(run_params, pipeline, catalog)

    @hook_impl
    def before_node_run(self, node: Node, catalog: Catalog, inputs: dict[str, Any], is_async: bool) -> None:
        """Join the run from this thread."""
        self._hook().before_node_run(node, catalog, inputs, is_async)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Tag the data set's checksum."""
        self._hook().after_dataset_loaded(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log metrics, tag the data set's checksum."""
        self._hook().after_dataset_saved(dataset_name, data)

    @hook_impl
    def after_pipeline_run(
        self,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: Catalog,
    ) -> None:
        """End the run."""
        self._hook().after_pipeline_run(run_params, pipeline, catalog)

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog
    ) -> None:
        """End the run as what it is."""
        self._hook().on_pipeline_error(error, run_params, pipeline, catalog)


class _Commands(ModuleType):
    """Replaces kedro-mlflow's module of commands until one of them, or anything else in it, is used."""

    commands = LazyGroup(
        name="Mlflow",
        help="Kedro plugin for interactions with mlflow.",
        lazy_subcommands={"mlflow": f"{_COMMANDS}.mlflow_commands"},
    )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # code that inspects all modules reads their files and paths
            raise AttributeError(name)
        if sys.modules.get(_COMMANDS) is self:
            del sys.modules[_COMMANDS]
        return getattr(importlib.import_module(_COMMANDS), name)


def defer_commands() -> None:
    """Keep `kedro` from importing MLflow for the list of its commands, of which one is `kedro mlflow`.

    Kedro loads the commands of every plugin before it knows which one is meant, but reads this project's
    settings first. With a kedro-mlflow that has its commands elsewhere, start-up is slow again, no more.
    """
    sys.modules.setdefault(_COMMANDS, _Commands(_COMMANDS))
