"""Options of what the registry names: checked against the class's own model, or its keywords."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from samix.core.suggestions import did_you_mean

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def options_model(kind: type) -> type[BaseModel]:
    """The model of a class's options: its attribute `Options`, or its keywords with their types."""
    own: type[BaseModel] | None = getattr(kind, "Options", None)
    if own is not None:
        return own
    hints = get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]  # of this very class
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if one.default is one.empty else one.default)
        for name, one in inspect.signature(kind).parameters.items()
        if one.kind in _NAMED
    }
    closed = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return create_model(f"{kind.__name__}Options", __config__=closed, **fields)


def read_options(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given options with the types that `kind` declares.

    Raises: ValueError that says what is wrong with each option that is unknown, missing or of another type.
    """
    model = options_model(kind)
    try:
        read = model.model_validate(dict(given))
    except ValidationError as error:
        raise ValueError(problems_of(model, error)) from error
    return {name: getattr(read, name) for name in read.model_fields_set}


def problems_of(model: type[BaseModel], error: ValidationError) -> str:
    """One clause for each option that is unknown, missing or of another type."""
    return "; ".join(_sentence(model, detail) for detail in error.errors(include_url=False))


def _sentence(model: type[BaseModel], detail: ErrorDetails) -> str:
    name = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        known = list(model.model_fields)
        return f"options.{name}: unknown. {did_you_mean(name, known) if known else 'There are no options'}"
    if detail["type"] == "missing":
        return f"options.{name}: missing"
    return f"options.{name} = {detail['input']!r}: {detail['msg'].removeprefix('Value error, ')}"
