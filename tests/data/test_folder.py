import os
from pathlib import Path

import pytest
import torch

from samix.config.data import DataConfig
from samix.core.errors import DataError
from samix.data import open_images, prepare
from samix.data.sources.folder import Folder


def _paths(listing, split):
    return listing.rows.loc[listing.rows["split"] == split, "path"].tolist()


def test_classes_are_alphabetical_and_other_files_are_skipped(folder, write):
    (folder / "train/cat/notes.txt").write_text("no image")
    write(folder / "train/cat/.hidden.png", 50)
    write(folder / "train/cat/more/9.JPEG", 51)
    listing = Folder(folder).listing(0.2, seed=0)
    assert listing.classes == ["cat", "dog"]
    assert _paths(listing, "train")[:5] == [
        f"train/cat/{n}" for n in ("0.png", "1.png", "2.png", "3.png")
    ] + ["train/cat/more/9.JPEG"]
    assert not listing.problems


def test_val_serves_where_there_is_no_test(folder):
    (folder / "test").rename(folder / "val")
    assert _paths(Folder(folder).listing(0.2, 0), "test")[0] == "val/cat/0.png"
    # ImageNet's layout: a test folder without classes.
    (folder / "test").mkdir()
    assert _paths(Folder(folder).listing(0.2, 0), "test")[0] == "val/cat/0.png"


def test_test_comes_before_val(folder, write):
    write(folder / "val/cat/0.png", 60)
    assert {path.split("/")[0] for path in _paths(Folder(folder).listing(0.2, 0), "test")} == {"test"}


def test_classes_right_below_the_root_are_split(folder):
    listing = Folder(folder / "train").listing(0.25, seed=0)
    assert sorted(path.split("/")[0] for path in _paths(listing, "test")) == ["cat", "dog"]
    assert len(_paths(listing, "train")) == 6


def test_train_without_a_test_folder_is_refused(folder):
    (folder / "test").rename(folder / "held_out")
    with pytest.raises(DataError, match=r"no classes in test/ or val/"):
        Folder(folder).listing(0.2, 0)


def test_a_missing_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: set SAMIX_DATA_ROOT"):
        Folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"set SAMIX_DATA_ROOT or data_preparation.root"):
        Folder(None)


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(DataError, match="no class folders"):
        Folder(tmp_path).listing(0.2, 0)


def test_images_may_lie_one_level_deeper(folder, tmp_path):
    nested = tmp_path / "nested"
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            target = nested / {"test": "val"}.get(split, split) / name / "images"
            target.parent.mkdir(parents=True)
            (folder / split / name).rename(target)
    listing = Folder(nested).listing(0.2, 0)
    assert listing.classes == ["cat", "dog"]
    assert _paths(listing, "test")[-1] == "val/dog/images/1.png"
    assert listing.rows["split"].tolist() == ["train"] * 8 + ["test"] * 4


def test_the_caltech_excerpt_is_a_folder_with_val():
    root = Path(os.environ.get("SAMIX_DATA_ROOT", "")) / "caltech20"
    if not root.is_dir():
        pytest.skip("SAMIX_DATA_ROOT names no folder with caltech20")
    config = DataConfig(source="folder", root=root, classes=20, image_size=56, stored_size=64, limit=40)
    prepared = prepare(config, seed=0)
    assert prepared.card["counts"] == {"train": 40, "test": 20}
    assert prepared.manifest["path"].iloc[-1].startswith("val/")
    assert open_images(prepared.card, prepared.manifest, "test").fetch(torch.arange(20)).shape[-1] == 64
