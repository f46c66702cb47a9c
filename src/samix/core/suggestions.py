"""The end of an error message about a name that does not exist."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches


def did_you_mean(name: str, known: Collection[str]) -> str:
    """'Did you mean X? Known: ...' for a name that is not among the known ones."""
    close = get_close_matches(name, known, n=2)
    question = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    return f"{question}Known: {', '.join(sorted(known))}"
