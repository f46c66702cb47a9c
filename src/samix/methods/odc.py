"""Online deep clustering as a method of its own (arXiv 2006.10645)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samix.clustering.memory import ODCMemory
from samix.config.training import OptimizerConfig
from samix.core.learner import Learner, OptimizedModules
from samix.core.step import StepContext
from samix.data import Labelled
from samix.nn.backbones import Backbone
from samix.objectives import ClassObjective


class ODCLearner(Learner):
    """Backbone, neck and a linear head that learn the pseudo labels while the labels follow the features.

    Args: backbone; neck from the pooled features to d; memory, initialised for the training set, of dim d;
    optimizer of backbone and neck, and without momentum also of the head, whose classes move.
    """

    change_ratio: Tensor

    def __init__(
        self, backbone: Backbone, neck: nn.Module, memory: ODCMemory, optimizer: OptimizerConfig
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.memory = memory
        self.optimizer = optimizer
        clusters, dim = memory.centroids.shape
        self.head = nn.Linear(dim, clusters)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("change_ratio", torch.zeros(()))
        self._seen: tuple[Tensor, Tensor]

    def training_step(self, batch: Labelled, draws: None) -> dict[str, Tensor]:
        """Re-weighted cross entropy with the labels as they are before this step's update of the memory.

        The batch's own labels are not looked at.

        Metrics: loss; top1, share of images put into their cluster; change_ratio of the step before;
        cluster_min and cluster_max, members; cluster_empty, count.
        """
        labels = self.memory.labels[batch.index]
        features = self.neck(self.backbone(batch.images).pooled)
        logits = self.head(features)
        loss = ClassObjective(self.memory.class_weights()).point_loss(logits, labels).mean()
        self._seen = (batch.index, features.detach())
        sizes = self.memory.sizes()
        return {
            "loss": loss,
            "top1": (logits.detach().argmax(1) == labels).float().mean(),
            "change_ratio": self.change_ratio.clone(),
            "cluster_min": sizes.min(),
            "cluster_max": sizes.max(),
            "cluster_empty": (sizes == 0).sum(),
        }

    def after_step(self, ctx: StepContext) -> None:
        """Write the step's features into the memory, then centroids and small clusters when it is time."""
        self.change_ratio.copy_(self.memory.update(*self._seen))
        self.memory.maintain(ctx.step)

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Sets "encoder" (backbone and neck) and "head"."""
        return {
            "encoder": OptimizedModules([self.backbone, self.neck], self.optimizer),
            "head": OptimizedModules([self.head], self.optimizer.model_copy(update={"momentum": 0.0})),
        }
