"""Run a detector over a set of pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samix.detection.voc import DetectionSet

# what torchvision's detectors return: boxes (n, 4) as (x1, y1, x2, y2) in pixels, labels and scores (n,)
Detections = dict[str, Tensor]
BATCH = 8
"""Pictures per forward pass."""


@torch.no_grad()
def predict(detector: nn.Module, pictures: DetectionSet) -> list[Detections]:
    """Detections of every picture, in its order, on the CPU, best score first."""
    device = next(detector.parameters()).device
    training = detector.training
    detector.eval()
    found: list[Detections] = []
    for start in range(0, len(pictures), BATCH):
        part = range(start, min(start + BATCH, len(pictures)))
        images = [pictures.image(i).to(device).float() / 255 for i in part]
        found += [{name: t.cpu() for name, t in picture.items()} for picture in detector(images)]
    detector.train(training)
    return found
