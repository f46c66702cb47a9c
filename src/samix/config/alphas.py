"""Default alpha of each policy by data set and kind of network: those of OpenMixup's benchmarks.

lam ~ Beta(alpha, alpha). Where the benchmarks have no figure for a data set, that of the CIFAR sets stands
in.
"""

from __future__ import annotations

from typing import Literal

Family = Literal["resnet18", "cnn", "vit"]
DataSet = Literal[
    "cifar10",
    "cifar100",
    "tiny_imagenet",
    "imagenet",
    "cub200",
    "aircraft",
    "inat2017",
    "inat2018",
    "places205",
]
"""Data sets with a column; any other uses that of CIFAR."""

_COLUMN: dict[str, str] = {
    "tiny_imagenet": "tiny",
    "imagenet": "imagenet",
    "cub200": "fine",
    "aircraft": "fine",
    "inat2017": "inat",
    "inat2018": "inat",
    "places205": "places",
}
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

_OF_THE_AUTHORS = {"snapmix": 5.0, "patchup": 2.0, "inter_intra": 2.0}
"""Policies without a row in the benchmarks: what their authors use. 1 for those left, which draw from
Beta(1, 1) or leave lam unused."""


def default_alpha(policy: str, data_set: str, family: Family = "cnn") -> float:
    """Alpha of `policy` on a data set (a source's name, or one of DataSet) with networks of a family."""
    row = _TABLE.get(policy)
    if row is None:
        return _OF_THE_AUTHORS.get(policy, 1.0)
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
