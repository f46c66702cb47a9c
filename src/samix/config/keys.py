"""Keys of parameters: the models that they lead to, and their names of today."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel


def model_at(annotation: Any, path: Sequence[str]) -> type[BaseModel] | None:
    """The model that the keys of `path`, places in lists among them, lead to from `annotation`.

    None if they lead to something else, or a key does not exist.
    """
    kinds = (part for part in _parts(annotation) if inspect.isclass(part) and issubclass(part, BaseModel))
    model: type[BaseModel] | None = next(kinds, None)
    keys = [key for key in path if not key.isdigit()]
    if model is None or not keys:
        return model
    field = model.model_fields.get(keys[0])
    return None if field is None else model_at(field.annotation, keys[1:])


def renamed_to(annotation: Any, path: Sequence[str]) -> str | None:
    """Today's dotted name of a key of an earlier version, by `Config.renamed`; None if it has no other."""
    now: list[str] = []
    for key in path:
        model = model_at(annotation, now)
        now.append(getattr(model, "renamed", {}).get(key, key))
    return ".".join(now) if now != list(path) else None


def _parts(annotation: Any) -> Iterator[Any]:
    """A type and, of unions and containers, the types inside it."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
