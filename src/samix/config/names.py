"""Names of the registry as values: checked in parameters, and looked up as classes when they are used."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from samix.core.suggestions import did_you_mean

T = TypeVar("T")


class Registered(Mapping[str, T]):
    """The classes or functions of a table of `samix.config.registry`, by name.

    A module is imported when its name is looked up; iterating over the names imports nothing.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._table[name].partition(":")
        found: T = getattr(import_module(module), attribute)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def name_of(self, kind: type) -> str | None:
        """The name under which a class is registered; None if it is not."""
        place = f"{kind.__module__}:{kind.__qualname__}"
        return next((name for name, registered in self._table.items() if registered == place), None)


class OneOf:
    """Annotation of a parameter that is a name of a table or one of `others`: Annotated[str, OneOf(SOURCES)].

    The error for any other name lists the known ones, the closest first.
    """

    def __init__(self, names: Collection[str], *others: str) -> None:
        self.names = names
        self.others = others

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def _known(self, name: str) -> str:
        if name not in self.names and name not in self.others:
            known = [*self.others, *self.names]
            text = f"unknown. {did_you_mean(name, known)}"
            raise PydanticCustomError("unknown_name", "{text}", {"text": text})
        return name
