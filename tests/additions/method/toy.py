"""Toy method: cosine distances between two views, in both directions (made for a test)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.ssl import MethodConfig
from samix.core.learner import OptimizedModules
from samix.methods.method import Method
from samix.nn import Encoded, Encoder
from samix.objectives import InstanceTargets


class ToyConfig(MethodConfig):
    """Parameters of the toy."""

    temperature: float = Field(0.5, gt=0, description="of the pair logit")


@dataclass(frozen=True)
class Cosine:
    """2 - 2 cos between outputs (N, d) and targets, both of length 1."""

    temperature: float

    def point_loss(self, outputs: Tensor, targets: InstanceTargets) -> Tensor:
        """Distances (N,)."""
        return 2 - 2 * (outputs * targets.keys).sum(1)

    def pair_logit(self, outputs: Tensor, first: InstanceTargets, second: InstanceTargets) -> Tensor:
        """Difference of the cosines over the temperature (N,)."""
        return (outputs * (first.keys - second.keys)).sum(1) / self.temperature

    def distinct(self, first: InstanceTargets, second: InstanceTargets) -> Tensor:
        """Pairs of two different images."""
        return first.index != second.index


class Toy(Method):
    """SimSiam with a linear predictor: the encoder is its own teacher."""

    Config: ClassVar[type[ToyConfig]] = ToyConfig

    def __init__(self, encoder: Encoder, config: ToyConfig, seed: int) -> None:
        super().__init__(encoder, config, seed)
        self.predictor = nn.Linear(config.projector.out, config.projector.out)

    def outputs(self, encoded: Encoded) -> Tensor:
        """Predictions (N, d) of length 1."""
        return F.normalize(self.predictor(encoded.projected).float(), dim=1)

    def critic_outputs(self, encoded: Encoded) -> Tensor:
        """Projections (N, d) of length 1, without the predictor."""
        return encoded.projection

    def objective(self, targets: Any, label_of: Callable[[Tensor], Tensor] | None = None) -> Cosine:  # noqa: ARG002
        """The cosine distance; there are no negatives to leave out."""
        return Cosine(self.config.temperature)

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Encoder and predictor."""
        return {"encoder": OptimizedModules([self.encoder, self.predictor], self.config.optimizer)}
