"""The interface of what `fit` trains: a module with one training step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from samix.config.training import OptimizerConfig
from samix.core.step import StepContext


@dataclass(frozen=True)
class OptimizedModules:
    """Modules that share one optimiser and its schedule; frozen parameters in them are left out."""

    modules: list[nn.Module]
    optimizer: OptimizerConfig


class Learner(nn.Module, ABC):
    """A module that trains itself for one step: `draw`, `before_step`, forward, backward, `after_step`.

    The state_dict holds everything on which the next step depends, so that a resumed run is exact. Everything
    random is in `draw`: the training step is a pure function of tensors, dropout and drop path excepted.
    """

    def draw(self, batch: Any, ctx: StepContext) -> Any:  # noqa: ARG002
        """Draws of a step, on ctx.device; of the batch only the sizes are read. None if nothing is random."""
        return None

    def before_step(self, ctx: StepContext) -> None:  # noqa: B027 - optional
        """Called before the forward pass, outside the graph: moving averages, copies of frozen heads."""

    @abstractmethod
    def training_step(self, batch: Any, draws: Any) -> dict[str, Tensor]:
        """One step on this rank's batch: "loss", a scalar with gradient, and detached scalar metrics."""

    @abstractmethod
    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Modules and optimisers by name (the name appears in the metrics as lr/<name>)."""

    def after_step(self, ctx: StepContext) -> None:  # noqa: B027 - optional
        """Called after the optimiser's step: enqueue keys, update a memory, clamp a parameter."""

    def forward(self, batch: Any, draws: Any) -> dict[str, Tensor]:
        """The training step; it runs through forward so that DDP sees it."""
        return self.training_step(batch, draws)
