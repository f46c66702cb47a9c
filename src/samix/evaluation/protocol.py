"""Input and result of an evaluation protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from samix.config import registry
from samix.config.names import Registered
from samix.config.stages import LinearEvaluationConfig
from samix.data import ImageStore
from samix.nn import Backbone


@dataclass(frozen=True)
class Frozen:
    """A frozen backbone, and the images that it is evaluated on.

    card: of the data set; stores, features (n, width) of the un-augmented images and labels (n,): for the
    splits train and test; fit: `samix.training.fit` with the job and the protocol's checkpoint, called as
    fit(learner, batches, epochs=..., on_epoch_end=...), returns the history.
    """

    config: LinearEvaluationConfig
    card: Mapping[str, Any]
    seed: int
    backbone: Backbone
    stores: Mapping[str, ImageStore]
    features: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    fit: Callable[..., list[dict[str, float]]]

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.card["classes"])


@dataclass(frozen=True)
class Evaluated:
    """figures: metrics by name; tensors, and about (JSON): kept with the result, named "<protocol>.<name>"
    except those of the protocol linear.
    """

    figures: dict[str, float]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


Evaluation = Callable[[Frozen], Evaluated]
EVALUATIONS: Registered[Evaluation] = Registered(registry.EVALUATIONS)
"""The protocols by name; each runs on every process of a job."""
