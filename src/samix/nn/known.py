"""The backbones that the project supports and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from samix.nn.wrn import wrn28_8

Stem = Literal["cifar", "imagenet"]


@dataclass(frozen=True)
class KnownBackbone:
    """One row of BACKBONES.

    Attributes: tap, the default one; stems that it can have; about, a remark; tap_norm, whether the tap's map
    is layer-normalised over its channels; build, called with drop_path_rate if timm has no such model.
    """

    tap: int | str
    stems: tuple[Stem, ...]
    about: str
    tap_norm: bool = False
    build: Callable[[float], nn.Module] | None = None


_RESNET = KnownBackbone(3, ("cifar", "imagenet"), "tap is layer3; `channels` sets other widths")
_RESNEXT = KnownBackbone(3, ("cifar", "imagenet"), "tap is layer3; `channels` sets other widths, from 16")

BACKBONES: dict[str, KnownBackbone] = {
    "resnet18": _RESNET,
    "resnet34": _RESNET,
    "resnet50": _RESNET,
    "resnet101": _RESNET,
    "resnext50_32x4d": _RESNEXT,
    "resnext101_32x4d": _RESNEXT,
    "wrn28_8": KnownBackbone(2, ("cifar",), "tap is the second of three stages", build=wrn28_8),
    "deit_small_patch16_224": KnownBackbone(
        5, ("imagenet",), "tap is block 6 of 12 without the class token; one image size"
    ),
    "swin_tiny_patch4_window7_224": KnownBackbone(
        "layers.3.downsample",  # timm merges patches at the start of a stage
        ("imagenet",),
        "tap is the third stage after its patch merging, layer-normalised over channels; one image size",
        tap_norm=True,
    ),
    "convnext_tiny": KnownBackbone(2, ("cifar", "imagenet"), "tap is the third of four stages"),
}
"""Names with a default tap, whose maps tests compare with the paper's. Any other timm model works as well, if
its tap is named."""
