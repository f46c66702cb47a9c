"""Are the parameters what the pipelines take? Found out before any node runs, all mistakes at once."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from samix.config.keys import model_at, renamed_to
from samix.core.errors import ConfigError
from samix.core.suggestions import did_you_mean

_PREFIX = "params:"


def check_parameters(values: Mapping[str, Any], pipelines: Iterable[Pipeline]) -> None:
    """Compare the merged parameters with the annotations of the nodes that take them.

    Raises: ConfigError that lists every unknown, missing or unsuitable key with what is allowed there.
    """
    types = declared_types(pipelines)
    known = {key.split(".")[0] for key in types}
    problems = [f"{key}: unknown. {did_you_mean(key, known)}." for key in values if key not in known]
    for key, annotation in types.items():
        problems += _problems_of(key, annotation, values)
    if problems:
        problems = list(dict.fromkeys(problems))
        count = "1 parameter" if len(problems) == 1 else f"{len(problems)} parameters"
        raise ConfigError(f"{count} cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))


def declared_types(pipelines: Iterable[Pipeline]) -> dict[str, Any]:
    """Annotation of every parameter that a node takes, by its dotted key; Any if there is none."""
    types: dict[str, Any] = {}
    for pipeline in pipelines:
        for node in pipeline.nodes:
            types |= _types_of(node)
    return types


def _types_of(node: Node) -> dict[str, Any]:
    hints = get_type_hints(node.func)
    arguments = inspect.signature(node.func).parameters
    # like Kedro's own validation: inputs meet arguments by position
    return {
        name.removeprefix(_PREFIX): hints.get(argument, Any)
        for name, argument in zip(node.inputs, arguments, strict=False)
        if name.startswith(_PREFIX)
    }


def _problems_of(key: str, annotation: Any, values: Mapping[str, Any]) -> list[str]:
    value: Any = values
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return [f"{key}: missing. Set it in conf/base/parameters_*.yml."]
        value = value[part]
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        return [_sentence(key, annotation, detail) for detail in error.errors(include_url=False)]
    return []


def _sentence(key: str, annotation: Any, detail: ErrorDetails) -> str:
    """One pydantic error as 'key = value: allowed values'."""
    path = [str(part) for part in detail["loc"]]
    name = ".".join([key, *path])
    if detail["type"] == "extra_forbidden":
        now = renamed_to(annotation, path)
        if now is not None:
            return f"{name}: renamed to {key}.{now}."
        model = model_at(annotation, path[:-1])
        assert model is not None  # the one that refused the key
        return f"{name}: unknown. {did_you_mean(path[-1], list(model.model_fields))}."
    if detail["type"] == "missing":
        return f"{name}: missing."
    if detail["type"] == "options":  # of PolicyConfig, whose message begins with the option's key
        return f"{name}.{detail['msg']}."
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name} = {detail['input']!r}: {message}."
