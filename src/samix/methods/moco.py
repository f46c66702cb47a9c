"""MoCo v2 (He et al., 2020; Chen et al., 2020): infoNCE with a queue of keys of a moving average."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from samix.config.ssl import MoCoConfig
from samix.core import distributed
from samix.core.errors import ConfigError
from samix.core.random import Stream, generator_for
from samix.core.step import StepContext
from samix.methods.method import Anchors, EMAMethod
from samix.nn import Encoded, Encoder, KeyQueue
from samix.objectives import InstanceObjective, InstanceTargets


class MoCo(EMAMethod):
    """View q against the momentum encoder's keys of view k; the keys of earlier steps are the negatives."""

    Config: ClassVar[type[MoCoConfig]] = MoCoConfig
    section: ClassVar[str] = "model.moco"
    anchors: ClassVar[Anchors] = (("q", "k"),)
    config: MoCoConfig

    def __init__(self, encoder: Encoder, config: MoCoConfig, seed: int) -> None:
        """seed: of the initial keys, which are noise."""
        super().__init__(encoder, config, seed)
        self.queue = KeyQueue(config.queue, config.projector.out, generator_for(seed, Stream.QUEUE))

    @classmethod
    def check(cls, config: MoCoConfig, images: int) -> None:
        """Raise ConfigError unless batch size, queue and number of training images fit together."""
        super().check(config, images)
        queue, batch = config.queue, config.batch_size
        if queue < batch:
            raise ConfigError(f"model.moco.queue ({queue}) is shorter than model.moco.batch_size ({batch}).")
        if queue % batch:
            raise ConfigError(
                f"model.moco.queue ({queue}) must be a multiple of model.moco.batch_size ({batch})."
            )
        if queue > images:
            raise ConfigError(
                f"model.moco.queue ({queue}) is longer than the data set ({images} training images): every "
                "image would meet its own old key as a negative. Take a shorter queue."
            )

    def outputs(self, encoded: Encoded) -> Tensor:
        """Projections (N, d) of length 1."""
        return encoded.embedding

    def objective(
        self, targets: InstanceTargets, label_of: Callable[[Tensor], Tensor] | None = None
    ) -> InstanceObjective:
        """InfoNCE with the queue as negatives."""
        labels = None if label_of is None else label_of(self.queue.index)
        return InstanceObjective(self.queue.keys, self.config.temperature, labels)

    def plain_loss(self, outputs: Tensor, targets: InstanceTargets) -> tuple[Tensor, dict[str, Tensor]]:
        """InfoNCE; queue_top1 is the share of images that are closer to their key than to all negatives."""
        objective = self.objective(targets)
        logits = objective.logits(outputs, targets)
        return objective.loss_of(logits).mean(), {"queue_top1": (logits.argmax(1) == 0).float().mean()}

    def after_step(self, targets: InstanceTargets, ctx: StepContext) -> None:  # noqa: ARG002
        """Enqueue the keys; before the backward pass this would change the negatives that it uses."""
        self.queue.enqueue(distributed.all_gather(targets.keys), distributed.all_gather(targets.index))
