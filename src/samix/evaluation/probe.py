"""A linear classifier on frozen features (MoCo's linear protocol, He et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.data import AugmentConfig
from samix.config.training import OptimizerConfig
from samix.core.learner import Learner, OptimizedModules
from samix.core.random import seed_for
from samix.core.step import StepContext
from samix.data import CropFlip, Labelled, LabelledBatches, MemoryStore
from samix.evaluation.classification import accuracies, confusion, summarise
from samix.evaluation.protocol import Evaluated, Frozen
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


def linear_protocol(frozen: Frozen) -> Evaluated:
    """Train the classifier on the features of the train split and test it after every epoch.

    Figures: top1 and top5, medians of the last 10 epochs, and top1_last, in percent. Kept besides: history,
    and the confusion matrix of the last epoch.
    """
    config, features, labels = frozen.config, frozen.features, frozen.labels
    cached = config.augmentation == "none"
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(frozen.seed, "linear_head"))
        backbone = None if cached else frozen.backbone
        learner = LinearProbe(frozen.backbone.width, frozen.classes, config.optimizer, backbone)

    def validate(current: Learner, ctx: StepContext) -> dict[str, float]:  # noqa: ARG001
        scores = accuracies(learner.head(features["test"]), labels["test"])
        return {f"val_{name}": score for name, score in scores.items()}

    history = frozen.fit(learner, _batches(frozen), epochs=config.epochs, on_epoch_end=validate)
    predicted = learner.head(features["test"]).argmax(1)
    top1, top5 = (summarise([row[key] for row in history if key in row]) for key in ("val_top1", "val_top5"))
    return Evaluated(
        {"top1": top1["median"], "top1_last": top1["last"], "top5": top5["median"]},
        tensors={f"head.{name}": tensor for name, tensor in learner.head.state_dict().items()},
        about={"history": history, "confusion": confusion(predicted, labels["test"], frozen.classes)},
    )


def _batches(frozen: Frozen) -> LabelledBatches:
    size, store = frozen.config.batch_size, frozen.stores["train"]
    if frozen.config.augmentation == "none":
        features = MemoryStore(frozen.features["train"], store.labels)
        return LabelledBatches(features, lambda x, _: x, size, frozen.seed)
    crops = CropFlip.for_data(AugmentConfig(crop_scale=(0.08, 1.0)), frozen.card)
    return LabelledBatches(store, crops, size, frozen.seed)
