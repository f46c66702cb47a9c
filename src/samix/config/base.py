"""Base of every parameter model."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Closed and frozen: an unknown key is an error, and nobody changes a value on the way."""

    model_config = ConfigDict(extra="forbid", frozen=True)
