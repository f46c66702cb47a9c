"""A Kedro session that refuses what cannot work and ends with one clear message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import DatasetError
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner, ParallelRunner

from samix.core.errors import ConfigError, SamixError
from samix.core.suggestions import did_you_mean
from samix.kedro.config_loader import RECIPES
from samix.kedro.interrupts import interruptible, signal_behind
from samix.kedro.pipelines.chains import SelectivePipeline


class Session(KedroSession):
    """KedroSession for training: early checks, interrupts as errors, short messages on the command line."""

    _selected: tuple[list[str], frozenset[str]] | None = None
    """Names of the pipelines that run, and of the stages that options name; None outside a run."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._whole: dict[str, Pipeline] = {}

    def run(  # type: ignore[override]
        self,
        pipeline_name: str | None = None,
        pipeline_names: list[str] | None = None,
        tags: Iterable[str] | None = None,
        runner: AbstractRunner | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Run pipelines as KedroSession does, without the stages that the settings do not need.

        A stage runs in any case if it is a pipeline that is named, or if an option names it or one of its
        nodes.

        Raises: ConfigError for an unknown pipeline or environment, missing settings and the ParallelRunner;
            Interrupted at Ctrl-C and SIGTERM.
        """
        with interruptible():
            names = pipeline_names or [pipeline_name or "__default__"]
            _check_pipelines(names)
            _check_runner(runner)
            _check_environment(str(self._conf_source), self.store.get("env"))
            self._selected = (names, _named_stages(names, list(tags or ()), options))
            try:
                result: dict[str, Any] = super().run(
                    pipeline_names=names, tags=tags, runner=runner, **options
                )
            finally:
                self._selected = None
                for name, pipeline in self._whole.items():
                    pipelines[name] = pipeline  # for the next session of this process
            return result

    def load_context(self) -> KedroContext:
        """The context; of a run, the pipelines become those that its parameters need."""
        context = super().load_context()  # whose hooks refuse wrong parameters
        if self._selected is not None:
            names, named = self._selected
            for whole in {id(pipelines[name]): pipelines[name] for name in names}.values():
                if isinstance(whole, SelectivePipeline):
                    self._replace(whole, whole.for_run(context.config_loader["parameters"], named))
        return context

    def _replace(self, whole: Pipeline, needed: Pipeline) -> None:
        """Put `needed` under every name of `whole`: the default is a second name."""
        for name, pipeline in pipelines.items():
            if pipeline is whole:
                self._whole[name] = whole
                pipelines[name] = needed

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close; on the command line an expected error ends as a message instead of a traceback."""
        super().__exit__(exc_type, exc, tb)
        if exc is None or click.get_current_context(silent=True) is None:
            return
        signum = signal_behind(exc)
        if signum is not None or is_expected(exc):
            raise _Message(str(exc), 1 if signum is None else 128 + signum) from None


class _Message(click.ClickException):
    """Printed as "Error: ..." by click, which then exits with the code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code  # type: ignore[misc]


def is_expected(error: BaseException | None) -> bool:
    """Whether the message alone tells the user what to do: our errors, also inside Kedro's DatasetError."""
    if isinstance(error, DatasetError):
        return isinstance(error.__cause__, OSError) or is_expected(error.__cause__)
    return isinstance(error, SamixError)


def _named_stages(names: list[str], tags: list[str], options: Mapping[str, Any]) -> frozenset[str]:
    """Stages that a run names: by pipeline, namespace, node, data set or tag."""
    keys = ("node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")
    words = [*names, *(word for key in keys for word in options.get(key) or ())]
    tagged = [node.namespace for name in names for node in pipelines[name].nodes if node.tags & set(tags)]
    return frozenset(word.split(".")[0] for word in [*words, *tagged] if word)


def _check_pipelines(names: list[str]) -> None:
    for name in names:
        if name not in pipelines:
            known = [known for known in pipelines if known != "__default__"]
            raise ConfigError(f"There is no pipeline {name!r}. {did_you_mean(name, known)}.")


def _check_runner(runner: AbstractRunner | None) -> None:
    if isinstance(runner, ParallelRunner):
        raise ConfigError(
            "The ParallelRunner cannot run samix: its workers call no hooks, so nothing would be tracked. "
            "Leave --runner out; training uses several processes through training.devices."
        )


def _check_environment(source: str, env: str | None) -> None:
    conf = Path(source)
    if "://" not in source and not conf.exists():
        raise ConfigError(
            f"There are no settings in {conf}: change to the project's folder, or set --conf-source."
        )
    known = sorted(path.name for path in conf.iterdir() if path.is_dir()) if conf.is_dir() else []
    known = [name for name in known if name != RECIPES]
    if env and known and env not in known:
        raise ConfigError(f"There is no environment {env!r} in {conf.name}/. {did_you_mean(env, known)}.")
