"""Default alphas against the benchmarks' table, copied as it is written."""

import pytest

from samix.config.alphas import default_alpha, family_of
from samix.mixup import POLICIES

TABLE = """
| MixUp | 1 | 1 | 0.2 | 0.2 | 0.2 | 0.2 | 0.8 |
| CutMix | 0.2 | 1 | 1 (R-18: 0.2) | 1 | 1 | 0.2 | 2 |
| ManifoldMix | 2 | 0.2 | 0.2 | 0.5 | 0.2 | 0.2 | 2 (ConvNeXt) |
| SmoothMix | 0.2 (C-10 R-18: 0.5) | 0.2 | - | - | - | - | 0.2 |
| SaliencyMix | 0.2 | 1 | 1 (R-18: 0.2) | 0.2 | 1 | 0.2 | 0.2 |
| AttentiveMix | 2 | 2 | 2 | - | - | - | 2 |
| FMix | 0.2 | 1 | 1 (R-18: 0.2) | 0.2 | 1 | 0.2 | 1 |
| GridMix | 0.2 | 0.2 | 0.2 | - | - | - | 1 |
| PuzzleMix | 1 | 1 | 1 | 1 | 1 | 1 | 2 |
| ResizeMix | 1 | 1 | 1 (R-18: 0.2) | 1 | 1 | 1 | 1 |
| AlignMix | 2 | 2 | 2 | - | - | - | - |
| ComixUp | 2 | 2 | 2 | - | - | - | - |
| SuperMix | 2 | 2 | 2 | - | - | - | - |
| Saliency_Grafting | - | 1 | 1 | - | - | - | - |
| AutoMix | 2 | 2 | 2 | 2 | 2 | 2 | 2 |
| SAMix | 2 | 2 | 2 | 2 | 2 | 2 | 2 |
| SAMix_P | 2 | 2 | 2 | 2 | 2 | 2 | 2 |
| AdAutoMix | 1 | - | - | - | - | - | 1 |
"""
COLUMNS = [
    ("cifar10", "cifar100"),
    ("tiny_imagenet",),
    ("imagenet",),
    ("cub200", "aircraft"),
    ("inat2017", "inat2018"),
    ("places205",),
    ("cifar100 with a transformer",),
]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_figures_are_those_of_the_table(row):
    policy, *cells = row
    for cell, data_sets in zip(cells, COLUMNS, strict=True):
        if cell == "-":
            continue
        for data_set in data_sets:
            name, _, transformer = data_set.partition(" with ")
            family = "vit" if transformer else "cnn"
            assert default_alpha(policy.lower(), name, family) == float(cell.split()[0]), (policy, data_set)


@pytest.mark.parametrize("row", [row for row in ROWS if "R-18" in " ".join(row)], ids=lambda row: row[0])
def test_a_small_resnet_has_exceptions(row):
    policy = row[0].lower()
    data_set = "cifar10" if "C-10" in row[1] else "imagenet"
    cell = row[1] if "C-10" in row[1] else row[3]
    assert default_alpha(policy, data_set, "resnet18") == float(cell.split("R-18:")[1].strip(" )"))
    assert default_alpha(policy, "cifar100", "resnet18") == float(row[1].split()[0])


def test_what_has_no_figure():
    for source in ("digits", "fashion_mnist", "folder", "stl10"):
        assert default_alpha("fmix", source, "resnet18") == default_alpha("fmix", "cifar100", "resnet18")
    assert default_alpha("smoothmix", "imagenet") == 0.2  # that of CIFAR
    assert default_alpha("saliency_grafting", "cifar10") == 1
    assert default_alpha("alignmix", "cifar100", "vit") == 2
    assert (
        default_alpha("cutmix", "imagenet", "vit") == 0.2 and default_alpha("samix", "imagenet", "vit") == 2
    )
    assert default_alpha("tla", "imagenet", "vit") == 1 and default_alpha("tla", "cifar10", published=3) == 3
    assert default_alpha("mixup", "cifar10", published=3) == 1


@pytest.mark.parametrize(
    ("policy", "alpha"), [("snapmix", 5), ("patchup", 2), ("inter_intra", 2), ("tla", 1)]
)
def test_policies_without_a_row_have_the_figure_of_their_authors(policy, alpha):
    assert POLICIES[policy].default_alpha == alpha


def test_families():
    names = ["resnet18", "resnet18.tv_in1k", "resnet50", "wrn28_8", "deit_small_patch16_224", "convnext_tiny"]
    assert [family_of(name) for name in names] == ["resnet18", "resnet18", "cnn", "cnn", "vit", "vit"]
