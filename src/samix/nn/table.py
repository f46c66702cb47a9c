"""Table of the known backbones, which `samix table backbones` prints."""

from __future__ import annotations

import torch

from samix.config.networks import BackboneConfig
from samix.nn.build import build_backbone
from samix.nn.known import BACKBONES, Stem

HEADER = ("name", "stem", "image", "tap", "tap C x h x w", "tap stride", "width", "parameters (M)", "about")


def rows() -> list[tuple[str, ...]]:
    """One row of strings, as HEADER names them, for each known backbone and stem."""
    return [_row(name, stem) for name, known in BACKBONES.items() for stem in known.stems]


def image_size(stem: Stem) -> int:
    """Side of the images for which a stem is meant."""
    return 32 if stem == "cifar" else 224


@torch.no_grad()
def _row(name: str, stem: Stem) -> tuple[str, ...]:
    known, size = BACKBONES[name], image_size(stem)
    backbone = build_backbone(BackboneConfig(name=name, stem=stem)).eval()
    shape = backbone.tap_map(torch.zeros(1, 3, size, size)).shape[1:]
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    return (
        name,
        stem,
        str(size),
        str(known.tap),
        " x ".join(map(str, shape)),
        str(backbone.tap_stride),
        str(backbone.width),
        f"{parameters / 1e6:.2f}",
        known.about,
    )
