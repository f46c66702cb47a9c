"""Kedro nodes from declarations: a node's inputs are data sets by name, its parameters keep their types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

from kedro.pipeline import Node, Pipeline

from samix.config.settings import Settings
from samix.kedro.tracking import stage_sink
from samix.stages.stage import Stage, Step, Task

CARD, MANIFEST = "data_preparation.dataset_card", "data_preparation.manifest"
SEED = "params:seed"
_PREFIX = "params:"


def stage_pipeline(stage: Stage, settings: Settings | None = None) -> Pipeline:
    """The nodes of a stage, in a namespace of its name, with the inputs that the settings need; None: with
    all.
    """
    nodes = [_task_node(stage, task, settings) for task in stage.tasks]
    nodes += [_step_node(step) for step in stage.steps]
    names = {name for node in nodes for name in node.inputs}
    return Pipeline(
        nodes,
        namespace=stage.name,
        inputs={name for name in names if "." in name and not name.startswith(_PREFIX)},
        parameters={name for name in names if name.startswith(_PREFIX)},
    )


def declared_node(
    call: Callable[[dict[str, Any]], Any],
    inputs: Sequence[str],
    outputs: str | list[str],
    *,
    name: str,
    shown: Callable[..., Any],
    types: Mapping[str, Any] | None = None,
) -> Node:
    """A node that calls `call` with its inputs by their names; "images" stands for card and manifest.

    Args: shown, the function whose source Kedro-Viz shows; types, of inputs that are no sections of
    `Settings`.
    """
    names = [part for name in inputs for part in ((CARD, MANIFEST) if name == "images" else (name,))]
    annotations = {_argument(name): _type_of(name, types or {}) for name in names}

    def function(*values: Any) -> Any:
        found = dict(zip(names, values, strict=True))
        if "images" in inputs:
            from samix.data import Images

            found["images"] = Images(found[CARD], found[MANIFEST])
        return call(found)

    # Kedro reads these for the names of arguments and the types of parameters
    function.__name__ = name
    function.__annotations__ = annotations
    function.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(key, Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)
            for key, kind in annotations.items()
        ]
    )
    function.__wrapped__ = shown  # type: ignore[attr-defined]
    return Node(function, names, outputs, name=name)


def sections_of(found: Mapping[str, Any]) -> Settings:
    """Settings that have those sections alone which are among the inputs of a node."""
    given = {name.removeprefix(_PREFIX): value for name, value in found.items() if name.startswith(_PREFIX)}
    return Settings.model_construct(**given)


def _task_node(stage: Stage, task: Task, settings: Settings | None) -> Node:
    # data sets of its own stage have no namespace yet
    needed = {name.removeprefix(f"{stage.name}."): name for name in task.needed(settings)}

    def call(found: dict[str, Any]) -> Any:
        from dataclasses import replace

        from samix.training import run_job

        upstream = {full: found[name] for name, full in needed.items()}
        worker, job = task.job(sections_of(found), found["images"], upstream, found[SEED])
        return run_job(worker, replace(job, sink=stage_sink(task.metrics)))

    sections = [f"{_PREFIX}{section}" for section in stage.sections]
    inputs = ["images", *needed, *sections, SEED]
    return declared_node(call, inputs, task.result, name=task.name, shown=task.job)


def _step_node(step: Step) -> Node:
    inputs = [SEED if name == "seed" else name for name in step.inputs]

    def call(found: dict[str, Any]) -> Any:
        return step.make(*(found[name] for name in inputs))

    outputs = list(step.outputs) if len(step.outputs) > 1 else step.outputs[0]
    return declared_node(call, inputs, outputs, name=step.name, shown=step.make)


def _argument(name: str) -> str:
    return name.removeprefix(_PREFIX).replace(".", "_")


def _type_of(name: str, types: Mapping[str, Any]) -> Any:
    if name in types:
        return types[name]
    if name == SEED:
        return int
    if name.startswith(_PREFIX):
        return Settings.model_fields[name.removeprefix(_PREFIX)].annotation
    return Any
