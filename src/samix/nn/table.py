"""Print what the known backbones look like: `python -m samix.nn.table`."""

from __future__ import annotations

import torch

from samix.config.networks import BackboneConfig
from samix.nn.backbones import build_backbone
from samix.nn.known import BACKBONES, Stem

HEADER = ("name", "stem", "image", "tap", "tap C x h x w", "tap stride", "width", "parameters (M)", "about")


def rows() -> list[tuple[str, ...]]:
    """One row of strings, as HEADER names them, for each known backbone and stem."""
    return [_row(name, stem) for name, known in BACKBONES.items() for stem in known.stems]


def markdown(header: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    """A Markdown table whose columns line up."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    lines = [header, tuple("-" * width for width in widths), *body]
    cells = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


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


if __name__ == "__main__":
    print(markdown(HEADER, rows()))
