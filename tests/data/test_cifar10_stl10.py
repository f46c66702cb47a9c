import numpy as np
import pytest
import torch

from helpers.fake_sets import write_cifar10, write_stl10
from samix.config.data import DataConfig
from samix.core.errors import DataError
from samix.data import ReadingStore, open_images, prepare, pretraining_split, store
from samix.data.sources.cifar10 import Cifar10
from samix.data.sources.stl10 import Stl10


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    pixels = write_cifar10(tmp_path, monkeypatch)
    monkeypatch.setattr(Cifar10, "published", {"train": 50, "test": 10})
    return pixels


@pytest.fixture
def stl10(tmp_path, monkeypatch):
    write_stl10(tmp_path, monkeypatch)
    monkeypatch.setattr(Stl10, "published", {"train": 20, "test": 10, "unlabelled": 15})
    return tmp_path


def test_published_counts():
    assert Cifar10.published == {"train": 50_000, "test": 10_000}
    assert Stl10.published == {"train": 5_000, "test": 8_000, "unlabelled": 100_000}


def test_cifar10_is_read_back(cifar10, tmp_path):
    prepared = prepare(DataConfig(source="cifar10", root=tmp_path), seed=0)
    assert prepared.card["counts"] == {"train": 50, "test": 10}
    assert prepared.card["classes"][3] == "class 3"
    for split, pixels in cifar10.items():
        images = open_images(prepared.card, prepared.manifest, split)
        assert (images.fetch(torch.arange(10)).numpy() == pixels[:10]).all()
        assert (images.labels == torch.arange(len(pixels)) % 10).all()


def test_stl10_has_a_split_without_labels(stl10):
    prepared = prepare(DataConfig(source="stl10", root=stl10, image_size=96), seed=0)
    assert prepared.card["counts"] == {"train": 20, "test": 10, "unlabelled": 15}
    assert list(prepared.manifest["split"].unique()) == ["train", "test", "unlabelled"]
    unlabelled = prepared.manifest[prepared.manifest["split"] == "unlabelled"]
    assert (unlabelled["label"] == -1).all() and (unlabelled["class_name"] == "").all()
    assert prepared.class_counts["train"].tolist() == [2] * 10
    assert pretraining_split(prepared.manifest) == "unlabelled"
    assert (open_images(prepared.card, prepared.manifest, "unlabelled").labels == -1).all()


@pytest.mark.parametrize(
    ("split", "theirs"), [("train", "train"), ("test", "test"), ("unlabelled", "unlabeled")]
)
def test_stl10_pixels_and_labels_are_those_of_torchvision(stl10, split, theirs):
    from torchvision.datasets import STL10

    prepared = prepare(DataConfig(source="stl10", root=stl10, image_size=96), seed=0)
    images = open_images(prepared.card, prepared.manifest, split)
    expected = STL10(str(stl10), split=theirs)
    for position, (image, label) in enumerate(expected):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        assert torch.equal(images.fetch(torch.tensor([position]))[0], pixels)
        assert images.labels[position] == label
    assert len(images) == len(expected)


def test_stl10_statistics_are_those_of_the_labelled_training_images(stl10):
    prepared = prepare(DataConfig(source="stl10", root=stl10, image_size=96), seed=0)
    pixels = open_images(prepared.card, prepared.manifest, "train").fetch(torch.arange(20)).double() / 255
    assert prepared.card["mean"] == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-6)


def test_a_part_of_stl10_keeps_the_proportions(stl10, monkeypatch):
    prepared = prepare(DataConfig(source="stl10", root=stl10, image_size=32, limit=12), seed=0)
    assert prepared.card["counts"] == {"train": 12, "test": 10, "unlabelled": 9}
    whole = open_images(prepared.card, prepared.manifest, "unlabelled")
    monkeypatch.setattr(store, "MEMORY_LIMIT", 0)
    mapped = open_images(prepared.card, prepared.manifest, "unlabelled")
    assert isinstance(mapped, ReadingStore)
    assert torch.equal(mapped.fetch(torch.tensor([8, 2])), whole.fetch(torch.tensor([8, 2])))


def test_damaged_stl10_files_are_refused(stl10):
    file = stl10 / "stl10_binary/unlabeled_X.bin"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    config = DataConfig(source="stl10", root=stl10)
    with pytest.raises(DataError, match="SAMIX_DATA_ROOT .*or data_preparation.download=true"):
        prepare(config, seed=0)


def test_stl10_files_cut_short_after_the_checks_are_refused(stl10):
    prepared = prepare(DataConfig(source="stl10", root=stl10), seed=0)
    file = stl10 / "stl10_binary/unlabeled_X.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="no usable data in"):
        open_images(prepared.card, prepared.manifest, "unlabelled")


@pytest.mark.parametrize("name", ["cifar10", "stl10"])
def test_absent_files_are_told_with_the_remedy(name, tmp_path):
    with pytest.raises(DataError, match="SAMIX_DATA_ROOT .*or data_preparation.download=true"):
        prepare(DataConfig(source=name, root=tmp_path), seed=0)
