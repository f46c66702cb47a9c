"""A self-supervised method: encoded views, their targets, and the objective that compares them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from samix.config.ssl import CrossView, EMAMethodConfig, MethodConfig
from samix.core import distributed
from samix.core.errors import ConfigError
from samix.core.learner import OptimizedModules
from samix.core.random import Stream
from samix.core.step import StepContext
from samix.nn import Encoded, Encoder, ema_, frozen_copy
from samix.objectives import InstanceTargets, Objective

Anchors = tuple[tuple[str, str], ...]
ROUTES: dict[CrossView, tuple[str, str]] = {
    "q2k": ("qq", "kk"),
    "swap": ("qk", "kq"),
    "same": ("qq", "qq"),
    "same_swap": ("qk", "qk"),
}
"""Views of the first and the second parents -> views of their targets (SAMix, table of cross views).

q is the encoded view of an anchor and k the view of its targets.
"""


class Method(nn.Module, ABC):
    """A self-supervised method whose teacher is the encoder itself; see also `EMAMethod`.

    Attributes: anchors, pairs of an encoded view and the view of its targets; the plain and the mixed loss
    are means over anchors, and the Mixer is trained with the first anchor. encoder, the trained network.
    Config, the model of the method's parameters, and section, their key in the configuration.
    """

    Config: ClassVar[type[MethodConfig]] = MethodConfig
    section: ClassVar[str] = "model.method.options"
    anchors: ClassVar[Anchors] = (("q", "k"), ("k", "q"))

    def __init__(self, encoder: Encoder, config: Any, seed: int) -> None:  # noqa: ARG002
        """config, an instance of `Config`; seed of initial draws, such as those of a queue."""
        super().__init__()
        self.encoder = encoder
        self.config = config

    @classmethod
    def check(cls, config: Any, images: int) -> None:
        """Raise ConfigError if `config`, an instance of `Config`, does not fit the number of images."""
        if config.batch_size > images:
            raise ConfigError(
                f"{cls.section}.batch_size is {config.batch_size}, but there are {images} training images."
            )

    @property
    def teacher(self) -> Encoder:
        """The network whose outputs are the targets and whose maps a Mixer reads."""
        return self.encoder

    def draw(self, ctx: StepContext, n: int) -> Any:  # noqa: ARG002
        """Draws of the method, None if there are none; n: rows that the teacher encodes on this rank."""
        return None

    def before_step(self, ctx: StepContext) -> None:  # noqa: B027 - optional
        """Called before the forward pass, outside the graph: moving averages, normalisation of prototypes."""

    def teach(
        self,
        views: Mapping[str, Tensor],  # noqa: ARG002
        online: Mapping[str, Encoded],
        draws: Any,  # noqa: ARG002
    ) -> dict[str, Encoded]:
        """The teacher's output, without gradient, for each of `views`, images (N, 3, H, W) by name.

        online: the trained encoder's outputs, with gradient, for the encoded views of the anchors; in this
        class they are also the teacher's. draws: of the method.
        """
        return {name: Encoded(*(t.detach() for t in encoded)) for name, encoded in online.items()}

    def critic(self) -> Callable[[Tensor], Encoded]:
        """An encoder that scores the Mixer's images, with gradient to the pixels and none to its weights.

        Here the trained encoder with detached weights and copied buffers: nothing of it changes.
        """
        weights = {name: p.detach() for name, p in self.encoder.named_parameters()}
        buffers = {name: b.clone() for name, b in self.encoder.named_buffers()}
        return lambda images: functional_call(self.encoder, weights | buffers, (images,))

    @abstractmethod
    def outputs(self, encoded: Encoded) -> Tensor:
        """Outputs (N, d) that the objective compares with the targets: projection, prediction or scores."""

    def critic_outputs(self, encoded: Encoded) -> Tensor:
        """`outputs` for images that the critic encoded."""
        return self.outputs(encoded)

    def targets(self, encoded: Encoded, index: Tensor, labels: Tensor | None) -> Any:
        """Targets of images `index` (N,) with labels (N,), by the teacher; a pairing can permute them."""
        return InstanceTargets(encoded.embedding, index, labels)

    @abstractmethod
    def objective(self, targets: Any, label_of: Callable[[Tensor], Tensor] | None = None) -> Objective:
        """The objective between outputs and `targets`.

        label_of: image indices (n,) -> labels (n,); if given, negatives with the target's label are left out.
        """

    def plain_loss(self, outputs: Tensor, targets: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of un-mixed images, a scalar, and metrics without gradient."""
        return self.objective(targets).point_loss(outputs, targets).mean(), {}

    def after_step(self, targets: Any, ctx: StepContext) -> None:  # noqa: B027 - optional
        """Called after the optimiser's step with the targets of the first anchor, to enqueue them."""

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Modules and optimisers by name."""
        return {"encoder": OptimizedModules([self.encoder], self.config.optimizer)}


class EMAMethod(Method):
    """A method whose teacher is a moving average of the encoder, updated before each step (MoCo, eq. 2).

    The teacher encodes all views in one pass, shuffled over the ranks. It has its own BatchNorm statistics
    unless `config.ema_buffers` is set.
    """

    Config: ClassVar[type[MethodConfig]] = EMAMethodConfig

    def __init__(self, encoder: Encoder, config: Any, seed: int) -> None:
        super().__init__(encoder, config, seed)
        self.momentum_encoder = frozen_copy(encoder)

    @property
    def teacher(self) -> Encoder:
        """See Method."""
        return self.momentum_encoder

    def draw(self, ctx: StepContext, n: int) -> Tensor | None:
        """A permutation of the rows of all ranks; None for a single rank."""
        if ctx.world_size == 1:
            return None
        return torch.randperm(ctx.world_size * n, generator=ctx.shared_generator(Stream.SHUFFLE))

    def before_step(self, ctx: StepContext) -> None:  # noqa: ARG002
        """Update the moving average."""
        ema_(self.momentum_encoder, self.encoder, self.config.ema, buffers=self.config.ema_buffers)

    @torch.no_grad()
    def teach(
        self,
        views: Mapping[str, Tensor],
        online: Mapping[str, Encoded],  # noqa: ARG002
        draws: Tensor | None,
    ) -> dict[str, Encoded]:
        """See Method."""
        images = list(views.values())
        n = len(images[0])
        together = torch.cat(images) if len(images) > 1 else images[0]
        encoded = _encode_shuffled(self.momentum_encoder, together, draws)
        return {name: encoded.rows(i * n, (i + 1) * n) for i, name in enumerate(views)}

    def critic(self) -> Callable[[Tensor], Encoded]:
        """The teacher, whose weights take no gradient."""
        return self.momentum_encoder


def _encode_shuffled(encoder: Encoder, x: Tensor, order: Tensor | None) -> Encoded:
    """Encode with the batch shuffled over all ranks: BatchNorm must not reveal the rank of a key (MoCo)."""
    if order is None:
        encoded: Encoded = encoder(x)
        return encoded
    everything = distributed.all_gather(x)
    part = encoder(distributed.local_rows(everything[order]))
    back = order.argsort()
    return Encoded(*(distributed.local_rows(distributed.all_gather(t)[back]) for t in part))
