import json
import logging

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from samix.config.data import DataConfig
from samix.core.errors import ConfigError, DataError
from samix.data import open_images, prepare, pretraining_split


def _folder_config(root, **settings):
    return DataConfig(source="folder", root=root, image_size=8, **settings)


@pytest.fixture(scope="module")
def digits():
    return prepare(DataConfig(), seed=0)


def test_digits_have_every_image_once_in_a_stratified_split(digits):
    assert list(digits.manifest.columns) == ["index", "path", "label", "class_name", "split", "checksum"]
    assert sorted(digits.manifest["index"]) == list(range(1797))
    assert digits.card["counts"]["test"] / 1797 == pytest.approx(0.2, abs=0.003)
    shares = digits.class_counts["test"] / (digits.class_counts["train"] + digits.class_counts["test"])
    assert shares.between(0.19, 0.21).all()
    assert (digits.manifest["label"] == load_digits().target[digits.manifest["index"]]).all()


def test_card_is_json_and_complete(digits):
    card = json.loads(json.dumps(digits.card))
    assert card == digits.card
    assert card["classes"] == [str(digit) for digit in range(10)]
    assert (card["name"], card["source"], card["root"], card["flip"]) == ("digits", "digits", None, False)
    assert (card["image_size"], card["stored_size"], card["duplicates"]) == (32, 32, 0)


def test_digits_are_read_back_with_full_ink_as_255(digits):
    store = open_images(digits.card, digits.manifest, "test")
    rows = digits.manifest[digits.manifest["split"] == "test"]
    assert torch.equal(store.labels, torch.tensor(rows["label"].to_numpy()))
    images = store.fetch(torch.tensor([0, 5]))
    assert images.shape == (2, 3, 32, 32) and images.dtype == torch.uint8
    assert images.max() > 230
    small = prepare(DataConfig(image_size=8), seed=0)
    plain = open_images(small.card, small.manifest, "test").fetch(torch.tensor([5]))[0, 0]
    expected = load_digits().images[rows["index"].iloc[5]] * 255 / 16
    assert np.abs(plain.numpy() - expected).max() <= 0.5


def test_statistics_are_those_of_the_training_images(digits):
    store = open_images(digits.card, digits.manifest, "train")
    pixels = store.fetch(torch.arange(len(store))).double() / 255
    assert digits.card["mean"] == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-6)
    assert digits.card["std"] == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-6)


def test_given_statistics_are_kept():
    given = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    card = prepare(DataConfig(limit=20, **given), seed=0).card
    assert {key: tuple(card[key]) for key in given} == given


def test_preparation_depends_on_data_and_seed_alone(digits):
    again, other = prepare(DataConfig(), seed=0), prepare(DataConfig(), seed=1)
    pd.testing.assert_frame_equal(digits.manifest, again.manifest)
    assert digits.card == again.card
    assert digits.card["checksum"] != other.card["checksum"]
    assert set(digits.manifest["checksum"]) == set(other.manifest["checksum"])


def test_limit_gives_a_stratified_part_of_the_whole(digits):
    part = prepare(DataConfig(limit=100), seed=0)
    assert part.card["counts"] == {"train": 100, "test": 25}
    assert part.class_counts["train"].between(9, 11).all()
    train = digits.manifest[digits.manifest["split"] == "train"]
    assert set(part.manifest.loc[part.manifest["split"] == "train", "index"]) <= set(train["index"])
    with pytest.raises(ConfigError, match="limit=5000"):
        prepare(DataConfig(limit=5000), seed=0)


def test_a_manifest_that_the_source_does_not_fit_is_refused(digits):
    moved = digits.manifest.assign(label=(digits.manifest["label"] + 1) % 10)
    with pytest.raises(DataError, match="do not fit source 'digits' .*: 1438"):
        open_images(digits.card, moved, "train")
    beyond = digits.manifest.assign(index=digits.manifest["index"] + 100)
    with pytest.raises(DataError, match="run data_preparation again"):
        open_images(digits.card, beyond, "train")
    with pytest.raises(DataError, match="no row of split 'val'"):
        open_images(digits.card, digits.manifest, "val")


def test_folder_becomes_rows_and_the_same_pixels_again(folder):
    prepared = prepare(_folder_config(folder), seed=0)
    assert prepared.card["name"] == "pets"
    assert prepared.card["classes"] == ["cat", "dog"]
    assert prepared.class_counts.to_dict("list") == {
        "label": [0, 1],
        "class_name": ["cat", "dog"],
        "train": [4, 4],
        "test": [2, 2],
    }
    row = prepared.manifest.iloc[5]
    assert (row["path"], row["class_name"], row["index"]) == ("train/dog/1.png", "dog", 5)
    store = open_images(prepared.card, prepared.manifest, "train")
    with Image.open(folder / row["path"]) as image:
        expected = np.asarray(image.convert("RGB").resize((10, 8), Image.Resampling.BILINEAR))[:, 1:9]
    difference = store.fetch(torch.tensor([5]))[0].permute(1, 2, 0).numpy().astype(int) - expected
    assert np.abs(difference).max() <= 2


def test_larger_squares_are_kept_and_described(folder):
    config = _folder_config(folder, stored_size=10, interpolation="bicubic")
    prepared = prepare(config, seed=0)
    card = prepared.card
    assert (card["image_size"], card["stored_size"], card["interpolation"]) == (8, 10, "bicubic")
    store = open_images(card, prepared.manifest, "train")
    images = store.fetch(torch.arange(8))
    with Image.open(folder / prepared.manifest["path"].iloc[3]) as image:
        expected = np.asarray(image.convert("RGB"))[:, 1:11]  # 12 x 10 pixels: its height fits already
    assert (images[3].permute(1, 2, 0).numpy() == expected).all()
    assert card["mean"] == pytest.approx((images / 255).double().mean((0, 2, 3)).tolist(), abs=1e-5)


def test_another_number_of_classes_than_expected_is_refused_before_images_are_read(folder):
    assert prepare(_folder_config(folder, classes=2), seed=0).card["classes"] == ["cat", "dog"]
    (folder / "train/cat/0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"'pets' has 2 classes, data_preparation\.classes=1000: ") as caught:
        prepare(_folder_config(folder, classes=1000), seed=0)
    assert "cannot read" not in str(caught.value)


def test_pretraining_sees_the_training_images_where_all_have_labels(digits):
    assert pretraining_split(digits.manifest) == "train"


def test_checksum_follows_the_pixels_not_the_file(folder):
    before = prepare(_folder_config(folder), seed=0)
    file = folder / "train/cat/0.png"
    with Image.open(file) as image:
        image.load()
        image.save(file, compress_level=0)
    assert prepare(_folder_config(folder), seed=0).card == before.card
    image.putpixel((0, 0), (1, 2, 3))
    image.save(file)
    assert prepare(_folder_config(folder), seed=0).card["checksum"] != before.card["checksum"]


def test_all_problems_of_a_folder_are_told_at_once(folder, write):
    (folder / "train/cat/1.png").write_bytes(b"not an image")
    whole = (folder / "test/dog/0.png").read_bytes()
    (folder / "test/dog/0.png").write_bytes(whole[: len(whole) // 2])
    (folder / "train/fish").mkdir()
    write(folder / "test/bird/0.png", 77)
    (folder / "test/cat/copy.png").write_bytes((folder / "train/dog/2.png").read_bytes())
    with pytest.raises(DataError) as caught:
        prepare(_folder_config(folder), seed=0)
    told = str(caught.value)
    assert "data set 'pets' cannot be used, problems found: 6" in told
    assert f"cannot read image {folder / 'train/cat/1.png'}" in told
    assert f"cannot read image {folder / 'test/dog/0.png'}" in told
    assert f"class folder {folder / 'train/fish'} holds no image" in told
    assert "class 'fish' has no training image" in told
    assert "class 'bird' is in test (images: 1) and not in train" in told
    assert "test image test/cat/copy.png has the same pixels as training image train/dog/2.png" in told


def test_a_long_list_of_problems_is_cut_and_counted(folder, write):
    for number in range(30):
        write(folder / f"train/cat/x{number}.png", 100 + number).write_bytes(b"")
    with pytest.raises(DataError, match=r"problems found: 30(.|\n)*and 10 more"):
        prepare(_folder_config(folder), seed=0)


def test_two_damaged_images_are_no_duplicates(folder):
    for name in ("train/cat/0.png", "test/cat/0.png"):
        (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match="problems found: 2"):
        prepare(_folder_config(folder), seed=0)


def test_folders_without_any_image_are_told(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"problems found: 5(.|\n)*dog holds no image(.|\n)*no test image"):
        prepare(_folder_config(tmp_path), seed=0)


def test_a_vanished_file_is_named(folder):
    prepared = prepare(_folder_config(folder), seed=0)
    (folder / "train/cat/1.png").unlink()
    with pytest.raises(DataError, match=r"gone: 1, .*train/cat/1\.png"):
        open_images(prepared.card, prepared.manifest, "train")
    assert len(open_images(prepared.card, prepared.manifest, "test")) == 4


def test_repeated_images_of_a_published_set_are_counted_and_kept(monkeypatch, caplog):
    bunch = load_digits()
    bunch.images[:] = bunch.images[0]
    monkeypatch.setattr("samix.data.sources.digits.load_digits", lambda: bunch)
    with caplog.at_level(logging.WARNING):
        card = prepare(DataConfig(), seed=0).card
    assert card["duplicates"] == card["counts"]["test"]
    assert f"{card['duplicates']} test images occur in train" in caplog.text


def test_a_published_set_of_the_wrong_size_is_refused(monkeypatch):
    bunch = load_digits()
    bunch.images, bunch.target = bunch.images[:1000], bunch.target[:1000]
    monkeypatch.setattr("samix.data.sources.digits.load_digits", lambda: bunch)
    with pytest.raises(DataError, match="1000 images in total where the published set has 1797"):
        prepare(DataConfig(), seed=0)
