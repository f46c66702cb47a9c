import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from samix.config.data import DataConfig
from samix.core.errors import DataError
from samix.data import open_images, prepare

NAMES = ["fashion_mnist", "cifar100"]
FILES = {"fashion_mnist": "FashionMNIST", "cifar100": "cifar-100-python"}
COUNTS = {"fashion_mnist": (60_000, 10_000, 10), "cifar100": (50_000, 10_000, 100)}


def _real_root(name):
    root = os.environ.get("SAMIX_DATA_ROOT")
    if not root or not (Path(root) / FILES[name]).is_dir():
        pytest.skip(f"SAMIX_DATA_ROOT names no folder with {FILES[name]}")
    return Path(root)


@pytest.mark.parametrize("name", NAMES)
def test_absent_files_are_told_with_folder_and_remedy(name, tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="SAMIX_DATA_ROOT .*or data_preparation.download=true") as caught:
            prepare(DataConfig(source=name, root=root), seed=0)
        assert str(root) in str(caught.value)
    with pytest.raises(DataError, match="SAMIX_DATA_ROOT"):
        prepare(DataConfig(source=name), seed=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_the_real_set_is_read_back(name):
    prepared = prepare(DataConfig(source=name, root=_real_root(name), limit=200), seed=0)
    train, test, classes = COUNTS[name]
    assert prepared.card["counts"] == {"train": 200, "test": max(classes, 200 * test // train)}
    assert len(prepared.card["classes"]) == classes
    store = open_images(prepared.card, prepared.manifest, "train")
    assert store.fetch(torch.arange(200)).shape == (200, 3, 32, 32)


def test_real_cifar_pixels_and_labels_belong_together():
    root = _real_root("cifar100")
    from torchvision.datasets import CIFAR100

    prepared = prepare(DataConfig(source="cifar100", root=root, limit=100), seed=0)
    rows = prepared.manifest[prepared.manifest["split"] == "test"]
    theirs = CIFAR100(root, train=False)
    store = open_images(prepared.card, prepared.manifest, "test")
    for position in range(0, len(rows), 17):
        image, label = theirs[rows["index"].iloc[position]]
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(store.fetch(torch.tensor([position]))[0], pixels)
        assert (store.labels[position], theirs.classes[label]) == (label, rows["class_name"].iloc[position])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "repeated"), [("fashion_mnist", 0), ("cifar100", 10)])
def test_the_whole_real_set_passes_and_its_duplicates_are_counted(name, repeated):
    card = prepare(DataConfig(source=name, root=_real_root(name)), seed=0).card
    assert card["counts"] == {"train": COUNTS[name][0], "test": COUNTS[name][1]}
    assert card["duplicates"] == repeated


@pytest.mark.parametrize(
    ("name", "file"),
    [("fashion_mnist", "FashionMNIST/raw/t10k-images-idx3-ubyte"), ("cifar100", "cifar-100-python/test")],
)
def test_one_flipped_byte_is_noticed(name, file, tmp_path):
    root = _real_root(name)
    shutil.copytree(root / FILES[name], tmp_path / FILES[name])
    damaged = tmp_path / file
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(DataError, match=str(tmp_path)):
        prepare(DataConfig(source=name, root=tmp_path), seed=0)
