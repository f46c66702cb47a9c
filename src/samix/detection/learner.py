"""Training of a detector: torchvision's losses, added."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from samix.config.detection import DetectionConfig
from samix.config.training import OptimizerConfig
from samix.core.errors import ConfigError
from samix.core.learner import Learner, OptimizedModules
from samix.core.step import StepContext
from samix.data.order import epoch_order
from samix.detection.voc import DetectionSet

# uint8 pixels kept decoded; larger sets are decoded again in every epoch
_MEMORY_LIMIT = 2**31


class Pictures(NamedTuple):
    """images, float32 (3, H, W) in [0, 1] of any size, and torchvision's targets: "boxes" and "labels"."""

    images: list[Tensor]
    targets: list[dict[str, Tensor]]


class DetectorLearner(Learner):
    """All layers of a detector under one optimiser.

    torchvision samples anchors and regions with the global generator, which `fit` seeds at every step.
    """

    def __init__(self, detector: nn.Module, optimizer: OptimizerConfig) -> None:
        super().__init__()
        self.detector = detector
        self.optimizer = optimizer

    def training_step(self, batch: Pictures, draws: None) -> dict[str, Tensor]:  # noqa: ARG002
        """Sum of the detector's losses, and each of them as a metric."""
        losses: dict[str, Tensor] = self.detector(batch.images, batch.targets)
        metrics = {name: value.detach() for name, value in losses.items()}
        return {"loss": torch.stack(list(losses.values())).sum(), **metrics}

    def parameter_sets(self) -> dict[str, OptimizedModules]:
        """One set, "detector"."""
        return {"detector": OptimizedModules([self.detector], self.optimizer)}


class DetectionBatches:
    """Pictures with boxes as a function of (seed, step, rank); difficult objects train like the others.

    Args: seed of the order. Raises: ConfigError for a batch larger than the set.
    """

    def __init__(self, pictures: DetectionSet, config: DetectionConfig, seed: int) -> None:
        if config.batch_size > len(pictures):
            raise ConfigError(
                f"batch_size={config.batch_size} is larger than the {len(pictures)} training pictures"
            )
        self.pictures = pictures
        self.batch_size = config.batch_size
        self.flip = config.flip
        self.seed = seed
        self.steps_per_epoch = len(pictures) // config.batch_size
        self._kept: dict[int, Tensor] = {}
        self._bytes = 0

    def load(self, ctx: StepContext) -> Pictures:
        """This rank's part of the batch of ctx.step. Raises: ConfigError where the ranks cannot share it."""
        if self.batch_size % ctx.world_size:
            raise ConfigError(
                f"batch_size={self.batch_size} cannot be shared by {ctx.world_size} processes: "
                "make it a multiple of training.devices"
            )
        epoch, step = divmod(ctx.step, self.steps_per_epoch)
        share = self.batch_size // ctx.world_size
        start = step * self.batch_size + ctx.rank * share
        chosen = epoch_order(len(self.pictures), self.seed, epoch)[start : start + share].tolist()
        mirrored = self.flip & (torch.rand(share, generator=ctx.generator("flip"), device=ctx.device) < 0.5)
        rows = [self._row(i, mirror, ctx) for i, mirror in zip(chosen, mirrored.tolist(), strict=True)]
        return Pictures([image for image, _ in rows], [target for _, target in rows])

    def _row(self, i: int, mirror: bool, ctx: StepContext) -> tuple[Tensor, dict[str, Tensor]]:
        image = self._image(i).to(ctx.device).float() / 255
        boxes = self.pictures.boxes[i].to(ctx.device)
        if mirror:
            image, boxes = image.flip(-1), mirrored_boxes(boxes, image.shape[-1])
        return image, {"boxes": boxes, "labels": self.pictures.labels[i].to(ctx.device)}

    def _image(self, i: int) -> Tensor:
        if i in self._kept:
            return self._kept[i]
        image = self.pictures.image(i)
        if self._bytes + image.numel() <= _MEMORY_LIMIT:
            self._kept[i] = image
            self._bytes += image.numel()
        return image


def mirrored_boxes(boxes: Tensor, width: int) -> Tensor:
    """Boxes (n, 4), (x1, y1, x2, y2), of a picture `width` pixels wide, after it is mirrored."""
    x1, y1, x2, y2 = boxes.unbind(1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=1)
