"""The interface of modules that `fit` trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from samix.config.training import OptimizerConfig
from samix.core.step import StepContext


@dataclass(frozen=True)
class OptimizedModules:
    """Modules that share one optimiser and its schedule; their frozen parameters are left out."""

    modules: list[nn.Module]
    optimizer: OptimizerConfig


class Learner(nn.Module, ABC):
    """A module with one training step: `draw`, `before_step`, forward, backward, `after_step`.

    The state_dict contains everything that the next step depends on, so that a resumed run is exact. All
    random numbers come from `draw`: the training step is a pure function of tensors, except for dropout and
    drop path.
    """

    def draw(self, batch: Any, ctx: StepContext) -> Any:  # noqa: ARG002
        """Draws of a step, on ctx.device; reads only the sizes of the batch. None if nothing is random."""
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
        """`training_step`, called as forward so that DDP wraps it."""
        return self.training_step(batch, draws)
