"""MoCo v2 (He et al., 2020; Chen et al., 2020)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from samix.config.ssl import MoCoConfig
from samix.core import distributed
from samix.core.errors import ConfigError
from samix.core.random import generator_for
from samix.methods.method import MomentumMethod
from samix.nn import Encoded, Encoder, KeyQueue
from samix.objectives import InstanceObjective, InstanceTargets


class MoCo(MomentumMethod):
    """Momentum contrast: a query and the key of its other view, against a queue of negatives (infoNCE)."""

    anchors = (("q", "k"),)

    def __init__(self, encoder: Encoder, config: MoCoConfig, seed: int) -> None:
        """seed: of the queue's first keys."""
        super().__init__(encoder, config)
        self.queue = KeyQueue(config.queue, config.projector.out, generator_for(seed, "queue"))
        self.temperature = config.temperature

    def targets(self, encoded: Encoded, index: Tensor, labels: Tensor | None) -> InstanceTargets:
        """See Method: keys of length 1."""
        return InstanceTargets(encoded.projection, index, labels)

    def objective(self, labels_of: Callable[[Tensor], Tensor] | None = None) -> InstanceObjective:
        """See Method."""
        labels = None if labels_of is None else labels_of(self.queue.index)
        return InstanceObjective(self.queue.keys, self.temperature, labels)

    def plain_loss(self, outputs: Tensor, targets: InstanceTargets) -> tuple[Tensor, dict[str, Tensor]]:
        """See Method; queue_top1: share of queries that are closest to their own key."""
        objective = self.objective()
        logits = objective.logits(outputs, targets)
        return objective.loss_of(logits).mean(), {"queue_top1": (logits.argmax(1) == 0).float().mean()}

    def after_step(self, encoded: Encoded, index: Tensor) -> None:
        """Enqueue the keys, which before the backward pass would change its inputs."""
        self.queue.enqueue(distributed.all_gather(encoded.projection), distributed.all_gather(index))


def check_moco(config: MoCoConfig, images: int) -> None:
    """Raise ConfigError if batch, queue and number of training images do not fit together."""
    if config.batch_size > images:
        raise ConfigError(
            f"model.moco.batch_size is {config.batch_size}, but there are {images} training images."
        )
    if config.queue < config.batch_size:
        raise ConfigError(
            f"model.moco.queue ({config.queue}) is shorter than model.moco.batch_size ({config.batch_size})."
        )
    if config.queue % config.batch_size:
        raise ConfigError(
            f"model.moco.queue ({config.queue}) must be a multiple of "
            f"model.moco.batch_size ({config.batch_size})."
        )
    if config.queue > images:
        raise ConfigError(
            f"model.moco.queue ({config.queue}) is longer than the data set ({images} training images): "
            "every image would meet its own old key as a negative. Take a shorter queue."
        )
