"""Labels of the training images for a self-supervised host: fixed ones, or clusters that follow it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from samix.clustering.memory import ODCMemory
from samix.clustering.reweight import class_weights


class LabelSource(nn.Module, ABC):
    """A label for every training image.

    Attributes: labels (M,) int64; classes C.
    """

    labels: Tensor
    classes: int

    def lookup(self, index: Tensor) -> Tensor:
        """Labels (n,) of images `index` (n,); -1 where the index is -1."""
        return torch.where(index >= 0, self.labels[index], -1)

    @abstractmethod
    def class_weights(self) -> Tensor:
        """Weight (C,) of each class in a cross-entropy."""

    def update(self, index: Tensor, keys: Tensor, step: int) -> None:  # noqa: B027 - fixed labels do not
        """Update the labels by the keys (n, d) of images `index` (n,), after the optimiser's step."""

    def metrics(self) -> dict[str, Tensor]:
        """What is worth logging of the labels."""
        return {}


class FixedLabels(LabelSource):
    """Labels (M,) in [0, C) that stay as they are; clusters of unlike size may be re-weighted (ODC)."""

    weights: Tensor

    def __init__(self, labels: Tensor, classes: int, *, reweight_power: float = 0.0) -> None:
        super().__init__()
        self.classes = classes
        sizes = labels.bincount(minlength=classes)
        self.register_buffer("labels", labels)
        self.register_buffer("weights", class_weights(sizes, reweight_power, "mean1"))

    def class_weights(self) -> Tensor:
        """See `LabelSource`; of the sizes at the start."""
        return self.weights


class OnlineLabels(LabelSource):
    """Pseudo labels of an initialised ODC memory, which every step's keys update (SAMix-C)."""

    change_ratio: Tensor

    def __init__(self, memory: ODCMemory) -> None:
        super().__init__()
        self.memory = memory
        self.classes = len(memory.centroids)
        self.register_buffer("change_ratio", torch.zeros(()))

    @property
    def labels(self) -> Tensor:  # type: ignore[override]
        """Labels as they are now."""
        return self.memory.labels

    def class_weights(self) -> Tensor:
        """See `LabelSource`; of the present sizes."""
        return self.memory.class_weights()

    def update(self, index: Tensor, keys: Tensor, step: int) -> None:
        """See `LabelSource`: samples memory, then centroids and small clusters when it is time."""
        self.change_ratio.copy_(self.memory.update(index, keys))
        self.memory.maintain(step)

    def metrics(self) -> dict[str, Tensor]:
        """change_ratio of the step before; members of the smallest and of the largest cluster."""
        sizes = self.memory.sizes()
        return {
            "cluster_change_ratio": self.change_ratio.clone(),
            "cluster_min": sizes.min(),
            "cluster_max": sizes.max(),
        }
