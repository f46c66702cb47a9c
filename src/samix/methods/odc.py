"""Online deep clustering as a separate method (arXiv 2006.10645)."""

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
    optimizer of backbone and neck, and without momentum of the head, whose classes change.
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
        """Re-weighted cross-entropy with the labels before this step's update of the memory.

        The batch's own labels are not used.

        Metrics: loss; top1, share of images classified into their cluster; change_ratio of the previous step;
        cluster_min and cluster_max, numbers of members; cluster_empty, number of clusters.
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
        """Update the memory by the step's features, then centroids and small clusters at their intervals."""
        self.change_ratio.copy_(self.memory.update(*self._seen))
        self.memory.maintain(ctx.step)

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """Sets "encoder" (backbone and neck) and "head"."""
        without_momentum = self.optimizer.model_copy(update={"momentum": 0.0, "nesterov": False})
        return {
            "encoder": OptimizedModules([self.backbone, self.neck], self.optimizer),
            "head": OptimizedModules([self.head], without_momentum),
        }
