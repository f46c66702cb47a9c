"""Where images come from: `SOURCES` has the class of each source, by its name in `samix.config.registry`."""

from __future__ import annotations

from collections.abc import Callable

from samix.config import registry
from samix.config.names import Registered
from samix.data.sources.base import Listing, Source

SOURCES: Registered[Callable[..., Source]] = Registered(registry.SOURCES)
"""Each is called with the root and, unless files are only read, with whether to download."""

__all__ = ["SOURCES", "Listing", "Source"]
