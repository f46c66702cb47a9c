"""Base of every parameter model."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Closed and frozen: an unknown key is an error, and values cannot be changed.

    renamed: keys of an earlier version -> their names of today, for the message of the error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    renamed: ClassVar[Mapping[str, str]] = {}
