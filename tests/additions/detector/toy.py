"""Toy detector: one box of a learnt size in the middle of each picture (made for a test)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from samix.config.detection import DetectorConfig
from samix.nn import Backbone


class Toy(nn.Module):
    """The box of the first class; half of its side is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.tensor(4.0))

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> Any:
        """As torchvision's detectors: a dict of losses with targets, a list of detections without."""
        if targets is not None:
            half = torch.cat([target["boxes"] for target in targets]).diff(dim=1)[:, 1].mean() / 2
            return {"loss_half": (self.size - half).square()}
        return [self._found(image) for image in images]

    def _found(self, image: Tensor) -> dict[str, Tensor]:
        centre, half = torch.tensor(image.shape[-1] / 2), self.size.detach()
        box = torch.stack([centre - half, centre - half, centre + half, centre + half])
        return {"boxes": box[None], "labels": torch.ones(1, dtype=torch.int64), "scores": torch.ones(1)}


def build_toy(
    backbone: Backbone, classes: int, config: DetectorConfig, *, mean: Sequence[float], std: Sequence[float]
) -> Toy:
    """The detector; it uses nothing of what it is given."""
    return Toy()
