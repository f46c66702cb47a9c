"""A linear classifier on frozen features (MoCo's linear protocol)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.training import OptimizerConfig
from samix.core.learner import Learner, OptimizedModules
from samix.data import Labelled
from samix.nn import Backbone


class LinearProbe(Learner):
    """One linear layer, Normal(0, 0.01), trained with cross-entropy; the backbone, if any, stays frozen.

    Without a backbone the batches are features already.
    """

    def __init__(
        self, width: int, classes: int, optimizer: OptimizerConfig, backbone: Backbone | None
    ) -> None:
        """width of the features; classes >= 2."""
        super().__init__()
        self.optimizer = optimizer
        self.backbone = backbone
        if backbone is not None:
            backbone.requires_grad_(False)
        self.head = nn.Linear(width, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def train(self, mode: bool = True) -> LinearProbe:
        """Train mode for the classifier alone: the backbone keeps its running statistics."""
        super().train(mode)
        if self.backbone is not None:
            self.backbone.eval()
        return self

    def training_step(self, batch: Labelled, draws: None) -> dict[str, Tensor]:  # noqa: ARG002
        """Cross-entropy of images (N, 3, H, W), or features (N, width), against labels (N,)."""
        logits = self.head(self.features(batch.images))
        top1 = (logits.detach().argmax(1) == batch.labels).float().mean()
        return {"loss": F.cross_entropy(logits.float(), batch.labels), "train_top1": 100 * top1}

    @torch.no_grad()
    def features(self, x: Any) -> Tensor:
        """Features (N, width) of a batch."""
        pooled: Tensor = x if self.backbone is None else self.backbone(x).pooled
        return pooled

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """The classifier."""
        return {"head": OptimizedModules([self.head], self.optimizer)}
