"""Base of every parameter model."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Closed and frozen: an unknown key is an error, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
