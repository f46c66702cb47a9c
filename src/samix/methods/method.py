"""The interface of a self-supervised method: its encoders, its targets and the objective between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from samix.config.training import OptimizerConfig
from samix.core import distributed
from samix.core.learner import OptimizedModules
from samix.core.random import SHUFFLE
from samix.core.step import StepContext
from samix.nn import Encoded, Encoder, ema_, momentum_copy
from samix.objectives import Objective

Views = Mapping[str, Tensor]
"""Images (N, 3, H, W) by the name of their view."""


class Method(nn.Module, ABC):
    """What a method encodes, its targets, and the objective between outputs and targets.

    The host (`SelfSupervised`) adds the plain loss, the mixed loss by any policy, the Mixer's training and
    labels that follow the encoder.
    """

    anchors: ClassVar[tuple[tuple[str, str], ...]] = (("q", "k"), ("k", "q"))
    """Pairs of an encoded view and the view of its targets; the plain loss is the mean over them."""

    def __init__(self, encoder: Encoder, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.optimizer = optimizer

    def draw(self, ctx: StepContext, n: int) -> Any:  # noqa: ARG002
        """Draws of the method itself; n: rows that the teacher encodes on this rank."""
        return None

    def before_step(self, ctx: StepContext) -> None:  # noqa: B027 - optional
        """Called before the forward pass, outside the graph."""

    @abstractmethod
    def teach(self, views: Views, online: Mapping[str, Encoded], draws: Any) -> dict[str, Encoded]:
        """Outputs of the teacher for these views, without gradient.

        Args: online, outputs of the trained encoder for the views it has encoded; draws of the method.
        """

    @property
    def teacher(self) -> Encoder:
        """The encoder whose outputs are the targets."""
        return self.encoder

    @abstractmethod
    def critic(self) -> Callable[[Tensor], Encoded]:
        """An encoder with gradient with respect to the pixels and none to its weights: it scores the Mixer's
        images.
        """

    def outputs(self, encoded: Encoded) -> Tensor:
        """Outputs (N, d) of the trained encoder that the objective compares with targets."""
        return encoded.projection

    def critic_outputs(self, encoded: Encoded) -> Tensor:
        """The same of the critic."""
        return self.outputs(encoded)

    @abstractmethod
    def targets(self, encoded: Encoded, index: Tensor, labels: Tensor | None) -> Any:
        """Targets from the teacher's outputs of images `index` (N,), rows that a pairing can permute."""

    @abstractmethod
    def objective(self, labels_of: Callable[[Tensor], Tensor] | None = None) -> Objective:
        """The objective of this step. labels_of: labels by image, to leave out negatives of one label."""

    def plain_loss(self, outputs: Tensor, targets: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of un-mixed images, a scalar, and metrics without gradient."""
        return self.objective().point_loss(outputs, targets).mean(), {}

    def after_step(self, encoded: Encoded, index: Tensor) -> None:  # noqa: B027 - optional
        """Called after the optimiser's step with the teacher's outputs of the last anchor's targets."""

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """The encoder under the method's optimiser."""
        return {"encoder": OptimizedModules([self.encoder], self.optimizer)}


class _MomentumConfig(Protocol):
    @property
    def optimizer(self) -> OptimizerConfig: ...

    @property
    def momentum(self) -> float: ...

    @property
    def ema_buffers(self) -> bool: ...


class MomentumMethod(Method):
    """A method whose teacher, and critic, is a moving average of the trained encoder."""

    def __init__(self, encoder: Encoder, config: _MomentumConfig) -> None:
        super().__init__(encoder, config.optimizer)
        self.momentum_encoder = momentum_copy(encoder)
        self.momentum, self.ema_buffers = config.momentum, config.ema_buffers

    def draw(self, ctx: StepContext, n: int) -> Tensor | None:
        """A permutation of the rows of all ranks, so that BatchNorm does not reveal the rank of a key (MoCo,
        shuffling BN); None on one rank.
        """
        if ctx.world_size == 1:
            return None
        return torch.randperm(ctx.world_size * n, generator=ctx.shared_generator(SHUFFLE))

    def before_step(self, ctx: StepContext) -> None:  # noqa: ARG002
        """Move the average (MoCo, equation 2)."""
        ema_(self.momentum_encoder, self.encoder, self.momentum, buffers=self.ema_buffers)

    @torch.no_grad()
    def teach(self, views: Views, online: Mapping[str, Encoded], draws: Tensor | None) -> dict[str, Encoded]:  # noqa: ARG002
        """See Method; all views in one pass, shuffled over the ranks."""
        images = list(views.values())
        both = images[0] if len(images) == 1 else torch.cat(images)
        encoded, n = _encode_shuffled(self.momentum_encoder, both, draws), len(images[0])
        return {name: encoded.rows(place * n, (place + 1) * n) for place, name in enumerate(views)}

    @property
    def teacher(self) -> Encoder:
        """See Method: the moving average."""
        return self.momentum_encoder

    def critic(self) -> Callable[[Tensor], Encoded]:
        """See Method."""
        return self.momentum_encoder


def _encode_shuffled(encoder: Encoder, x: Tensor, order: Tensor | None) -> Encoded:
    """Encode this rank's rows with the batch shuffled over all ranks."""
    if order is None:
        encoded: Encoded = encoder(x)
        return encoded
    everything = distributed.all_gather(x)
    part = encoder(distributed.local_rows(everything[order]))
    back = order.argsort()
    return Encoded(*(distributed.local_rows(distributed.all_gather(t)[back]) for t in part))
