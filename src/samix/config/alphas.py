"""Default alpha of each policy by data set and kind of network: those of OpenMixup's benchmarks.

lam ~ Beta(alpha, alpha). Where the benchmarks have no figure for a data set, that of the CIFAR sets stands
in.
"""

from __future__ import annotations

from typing import Annotated, Literal

from samix.config.names import OneOf

Family = Literal["resnet18", "cnn", "vit"]
_COLUMN: dict[str, str] = {
    "cifar10": "cifar",
    "cifar100": "cifar",
    "tiny_imagenet": "tiny",
    "imagenet": "imagenet",
    "cub200": "fine",
    "aircraft": "fine",
    "inat2017": "inat",
    "inat2018": "inat",
    "places205": "places",
}
"""Column of each data set of the benchmarks; any other uses that of CIFAR."""
DataSet = Annotated[str, OneOf(_COLUMN)]
"""A data set of the benchmarks."""
_COLUMNS = ("cifar", "tiny", "imagenet", "fine", "inat", "places", "vit")
"""vit: transformers, and ConvNeXt beside them, on CIFAR-100."""


def _row(*alphas: float | None) -> dict[str, float]:
    return {column: alpha for column, alpha in zip(_COLUMNS, alphas, strict=True) if alpha is not None}


_TABLE: dict[str, dict[str, float]] = {
    "mixup": _row(1, 1, 0.2, 0.2, 0.2, 0.2, 0.8),
    "cutmix": _row(0.2, 1, 1, 1, 1, 0.2, 2),
    "manifoldmix": _row(2, 0.2, 0.2, 0.5, 0.2, 0.2, 2),
    "smoothmix": _row(0.2, 0.2, None, None, None, None, 0.2),
    "saliencymix": _row(0.2, 1, 1, 0.2, 1, 0.2, 0.2),
    "attentivemix": _row(2, 2, 2, None, None, None, 2),
    "fmix": _row(0.2, 1, 1, 0.2, 1, 0.2, 1),
    "gridmix": _row(0.2, 0.2, 0.2, None, None, None, 1),
    "puzzlemix": _row(1, 1, 1, 1, 1, 1, 2),
    "resizemix": _row(1, 1, 1, 1, 1, 1, 1),
    **dict.fromkeys(("alignmix", "comixup", "supermix"), _row(2, 2, 2, None, None, None, None)),
    "saliency_grafting": _row(None, 1, 1, None, None, None, None),
    **dict.fromkeys(("automix", "samix", "samix_p"), _row(2, 2, 2, 2, 2, 2, 2)),
    "adautomix": _row(1, None, None, None, None, None, 1),
}

_SMALL_RESNET = {
    **{(policy, "imagenet"): 0.2 for policy in ("cutmix", "saliencymix", "fmix", "resizemix")},
    ("smoothmix", "cifar10"): 0.5,
}
"""Exceptions for a ResNet-18: (policy, data set) -> alpha."""

_IMAGENET_VIT = {
    **dict.fromkeys(("mixup", "cutmix", "manifoldmix", "saliencymix", "fmix"), 0.2),
    **dict.fromkeys(("puzzlemix", "resizemix"), 1.0),
    "attentivemix": 2.0,
}
"""DeiT on ImageNet."""


def default_alpha(policy: str, data_set: str, family: Family = "cnn", published: float = 1.0) -> float:
    """Alpha of `policy` on a data set (a source's name, or a DataSet) with networks of a family.

    published: that of the policy's authors (`Policy.default_alpha`), for policies without a row.
    """
    row = _TABLE.get(policy)
    if row is None:
        return published
    if family == "resnet18" and (policy, data_set) in _SMALL_RESNET:
        return _SMALL_RESNET[policy, data_set]
    if family == "vit" and data_set == "imagenet" and policy in _IMAGENET_VIT:
        return _IMAGENET_VIT[policy]
    column = _COLUMN.get(data_set, "cifar")
    wanted = ("vit", "cifar") if family == "vit" and column == "cifar" else (column, "cifar")
    return next((row[key] for key in wanted if key in row), next(iter(row.values())))


def family_of(backbone: str) -> Family:
    """The family of a timm model, by its name."""
    if backbone.split(".")[0] == "resnet18":
        return "resnet18"
    return "vit" if backbone.startswith(("deit", "vit", "swin", "convnext")) else "cnn"
