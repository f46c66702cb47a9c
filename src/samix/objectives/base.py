"""The interface between a scenario and the losses that are built on it."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class Objective(Protocol):
    """A loss of the outputs of a network against targets.

    Targets are anything that a pairing can permute: class labels, pseudo labels, keys.
    """

    def point_loss(self, outputs: Tensor, targets: Any) -> Tensor:
        """Loss of each sample against its target, (N,): the global term."""

    def pair_logit(self, outputs: Tensor, first: Any, second: Any) -> Tensor:
        """Log-odds (N,) that a sample belongs to `first` and not to `second`: the local term."""

    def distinct(self, first: Any, second: Any) -> Tensor:
        """Whether the two targets of a sample differ, bool (N,); the local term leaves out other samples."""
