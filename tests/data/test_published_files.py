import shutil

import numpy as np
import pytest
import torch

from helpers.fake_sets import write_aircraft, write_cub200, write_tiny_imagenet
from samix.config.data import DataConfig
from samix.core.errors import DataError
from samix.data import open_images, prepare
from samix.data.readers import FileReader, fit_square
from samix.data.sources.aircraft import Aircraft
from samix.data.sources.cub200 import Cub200
from samix.data.sources.tiny_imagenet import TinyImagenet

SETS = {
    "tiny_imagenet": (write_tiny_imagenet, TinyImagenet, {"train": 12, "test": 6}),
    "cub200": (write_cub200, Cub200, {"train": 9, "test": 3}),
    "aircraft": (write_aircraft, Aircraft, {"train": 6, "test": 2}),
}
LISTS = {
    "tiny_imagenet": "val/val_annotations.txt",
    "cub200": "image_class_labels.txt",
    "aircraft": "data/images_variant_test.txt",
}


@pytest.fixture(params=SETS)
def name(request):
    return request.param


@pytest.fixture
def root(name, tmp_path, monkeypatch):
    write, source, counts = SETS[name]
    monkeypatch.setattr(source, "published", counts)
    write(tmp_path)
    return tmp_path


def _prepared(name, root):
    return prepare(DataConfig(source=name, root=root, image_size=8), seed=0)


def _rows(prepared, split):
    rows = prepared.manifest[prepared.manifest["split"] == split]
    return list(zip(rows["path"], rows["class_name"], strict=True))


def test_published_counts():
    assert TinyImagenet.published == {"train": 100_000, "test": 10_000}
    assert Cub200.published == {"train": 5_994, "test": 5_794}
    assert Aircraft.published == {"train": 6_667, "test": 3_333}


@pytest.mark.slow
def test_a_set_is_read_back_from_its_root_or_the_folder_above(name, root):
    prepared = _prepared(name, root)
    assert prepared.card["counts"] == SETS[name][2]
    (inner,) = root.iterdir()
    within = _prepared(name, inner)
    assert within.card | {"root": None} == prepared.card | {"root": None}
    for manifest, card, _ in (prepared, within):
        images = open_images(card, manifest, "test")
        file = inner / manifest.loc[manifest["split"] == "test", "path"].iloc[1]
        pixels = torch.from_numpy(FileReader([file], 8).original(0)).permute(2, 0, 1)[None]
        assert torch.equal(images.fetch(torch.tensor([1])), fit_square(pixels, 8))


def test_tiny_imagenet_takes_labels_from_folders_and_annotations(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyImagenet, "published", SETS["tiny_imagenet"][2])
    write_tiny_imagenet(tmp_path)
    prepared = _prepared("tiny_imagenet", tmp_path)
    # alphabetical by id: n01 and n03 are both called crane
    assert prepared.card["classes"] == ["crane (n01)", "tench", "crane (n03)"]
    assert _rows(prepared, "train")[4] == ("train/n02/images/n02_0.JPEG", "tench")
    test = dict(_rows(prepared, "test"))
    assert test["val/images/val_3.JPEG"] == "crane (n03)" and test["val/images/val_4.JPEG"] == "crane (n01)"


def test_cub_takes_label_and_split_from_its_lists(tmp_path, monkeypatch):
    monkeypatch.setattr(Cub200, "published", SETS["cub200"][2])
    folder = write_cub200(tmp_path)
    # the lists are tied together by the image's number, not by their order
    labels = (folder / "image_class_labels.txt").read_text().splitlines()
    (folder / "image_class_labels.txt").write_text("\n".join(reversed(labels)))
    prepared = _prepared("cub200", tmp_path)
    assert prepared.card["classes"] == ["Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross"]
    assert _rows(prepared, "test") == [
        (f"images/{number:03d}.{name}/{name}_0001.jpg", name)
        for number, name in enumerate(prepared.card["classes"], start=1)
    ]


def test_aircraft_are_torchvisions(tmp_path, monkeypatch):
    from torchvision.datasets import FGVCAircraft

    monkeypatch.setattr(Aircraft, "published", SETS["aircraft"][2])
    write_aircraft(tmp_path)
    prepared = _prepared("aircraft", tmp_path)
    for split, theirs in (("train", "trainval"), ("test", "test")):
        expected = FGVCAircraft(tmp_path, theirs, "variant")
        assert prepared.card["classes"] == expected.classes
        rows = prepared.manifest[prepared.manifest["split"] == split]
        assert rows["label"].tolist() == [label for _, label in expected]
        for path, (image, _) in zip(rows["path"], expected, strict=True):
            file = tmp_path / "fgvc-aircraft-2013b" / path
            assert (FileReader([file], 8).original(0) == np.asarray(image)).all()


def test_absent_files_are_told_with_the_name_of_the_folder(name, tmp_path):
    archive = SETS[name][1].archive
    with pytest.raises(DataError, match=f"SAMIX_DATA_ROOT to the folder that holds {archive}") as caught:
        _prepared(name, tmp_path)
    assert ("download" in str(caught.value)) == (name == "aircraft")


def test_a_set_that_is_not_whole_is_refused(name, root, monkeypatch):
    counts = SETS[name][2]
    monkeypatch.setattr(SETS[name][1], "published", counts | {"test": counts["test"] + 1})
    with pytest.raises(DataError, match=r"images in test where the published set has"):
        _prepared(name, root)


def test_a_damaged_list_is_refused(name, root):
    (inner,) = root.iterdir()
    file = inner / LISTS[name]
    file.write_text(file.read_text() + "stray\n")
    with pytest.raises(DataError, match=f"source '{name}': the lists in .* are not as published"):
        _prepared(name, root)


def test_a_missing_list_is_refused(name, root):
    (inner,) = root.iterdir()
    (inner / LISTS[name]).unlink()
    with pytest.raises(DataError, match=LISTS[name].split("/")[-1]):
        _prepared(name, root)


def test_a_missing_image_is_named(name, root):
    prepared = _prepared(name, root)
    (inner,) = root.iterdir()
    gone = inner / prepared.manifest["path"].iloc[0]
    shutil.move(gone, gone.with_suffix(".bak"))
    with pytest.raises(DataError, match=f"gone: 1, the first is .*{gone.name}"):
        open_images(prepared.card, prepared.manifest, "train")
