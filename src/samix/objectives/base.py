"""The interface between a scenario and everything that is built on it."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class Objective(Protocol):
    """What the outputs of a network are held to.

    Targets are anything that a pairing can permute: class labels, pseudo labels, keys.
    """

    def point_loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Loss of each sample against its target, (N,): the global term."""

    def pair_logit(self, outputs: Tensor, first: Any, second: Any) -> Tensor:
        """Log-odds (N,) that a sample belongs to `first` and not to `second`: the local term."""

    def distinct(self, first: Any, second: Any) -> Tensor:
        """Where the two targets differ, bool (N,); elsewhere the local term says nothing."""
