"""Toy policy: mixup under another name (made for a test)."""

from __future__ import annotations

from samix.mixup.mixup import Mixup


class Toy(Mixup):
    """Mixup with an option and an alpha of its own."""

    default_alpha = 3.0

    def __init__(self, times: int = 1) -> None:
        """times: how often the toy is wound up, 1 to 9. Raises: ValueError for other numbers."""
        super().__init__()
        if not 1 <= times <= 9:
            raise ValueError(f"times {times} is not in 1..9")
        self.times = times
