"""Reading VOC-style sets: right ones, damaged ones, and a real one."""

import logging
import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.datasets import VOCDetection

from samix.core.errors import DataError
from samix.detection.annotation import BoxObject, write_annotation
from samix.detection.voc import read_voc


@pytest.fixture
def root(tmp_path):
    """Pictures a (30 x 20) and b (grey, 16 x 16) to train on, c to test on."""
    base = tmp_path / "VOCdevkit" / "VOC2007"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (base / folder).mkdir(parents=True)
    objects = {
        "a": [BoxObject("dog", (0.0, 2.0, 10.0, 20.0)), BoxObject("cat", (5.0, 5.0, 30.0, 9.0), True)],
        "b": [],
        "c": [BoxObject("dog", (1.0, 1.0, 4.0, 5.0))],
    }
    for name, items in objects.items():
        mode, size = ("L", (16, 16)) if name == "b" else ("RGB", (30, 20))
        Image.new(mode, size, 200 if mode == "L" else (200, 10, 20)).save(base / f"JPEGImages/{name}.jpg")
        write_annotation(base / f"Annotations/{name}.xml", f"{name}.jpg", size[::-1], items)
    (base / "ImageSets/Main/train.txt").write_text("a\nb 1\n\n")
    (base / "ImageSets/Main/test.txt").write_text("c\n")
    return tmp_path


def base_of(root):
    return root / "VOCdevkit" / "VOC2007"


def test_reads_boxes_labels_and_pictures(root):
    pictures = read_voc(root, "2007", "train")
    assert pictures.classes == ["cat", "dog"]
    assert [path.name for path in pictures.paths] == ["a.jpg", "b.jpg"]
    assert torch.equal(pictures.boxes[0], torch.tensor([[0.0, 2, 10, 20], [5, 5, 30, 9]]))
    assert pictures.labels[0].tolist() == [2, 1]
    assert pictures.difficult[0].tolist() == [False, True]
    assert pictures.boxes[1].shape == (0, 4) and pictures.labels[1].dtype == torch.int64
    image = pictures.image(0)
    assert image.shape == (3, 20, 30) and image.dtype == torch.uint8
    assert (image[:, 5, 5].int() - torch.tensor([200, 10, 20])).abs().max() < 4
    assert pictures.image(1).shape == (3, 16, 16)


def test_labels_of_another_split_follow_the_training_classes(root):
    train = read_voc(root, "2007", "train")
    test = read_voc(root, "2007", "test", train.classes)
    assert test.classes == ["cat", "dog"] and test.labels[0].tolist() == [2]


def test_boxes_are_clipped_to_the_picture_and_dropped_outside(root, caplog):
    objects = [BoxObject("cat", (-3.0, -1.0, 40.0, 10.0)), BoxObject("cat", (35.0, 2.0, 50.0, 9.0))]
    write_annotation(base_of(root) / "Annotations/a.xml", "a.jpg", (20, 30), objects)
    with caplog.at_level(logging.WARNING):
        pictures = read_voc(root, "2007", "train")
    assert pictures.boxes[0].tolist() == [[0, 0, 30, 10]]
    assert "1 objects without area dropped" in caplog.text


def test_every_problem_is_named_at_once(root):
    base = base_of(root)
    (base / "ImageSets/Main/train.txt").write_text("a\nb\nmissing\n")
    whole = (base / "JPEGImages/a.jpg").read_bytes()
    (base / "JPEGImages/a.jpg").write_bytes(whole[: len(whole) // 2])
    (base / "Annotations/b.xml").write_text("<annotation>")
    with pytest.raises(DataError) as error:
        read_voc(root, "2007", "train")
    text = str(error.value)
    assert text.startswith("4 problem(s)")
    for name in (
        "JPEGImages/a.jpg",
        "Annotations/b.xml",
        "JPEGImages/missing.jpg",
        "Annotations/missing.xml",
    ):
        assert name in text


def test_many_problems_are_counted(root):
    (base_of(root) / "ImageSets/Main/train.txt").write_text("".join(f"x{i}\n" for i in range(8)))
    with pytest.raises(DataError, match=r"16 problem\(s\)[\s\S]*and 6 more"):
        read_voc(root, "2007", "train")


def test_missing_folders_lists_and_objects_are_named(root):
    with pytest.raises(DataError, match=r"no folder .*VOC2012: detection_transfer.root"):
        read_voc(root, "2012", "train")
    with pytest.raises(DataError, match=r"no split list .*val.txt; splits found: test, train"):
        read_voc(root, "2007", "val")
    (base_of(root) / "ImageSets/Main/val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"val.txt is empty"):
        read_voc(root, "2007", "val")
    (base_of(root) / "ImageSets/Main/val.txt").write_text("b\n")
    with pytest.raises(DataError, match="no picture of split 'val' .* has an object"):
        read_voc(root, "2007", "val")
    with pytest.raises(DataError, match="classes that training has not: dog"):
        read_voc(root, "2007", "test", ["cat"])


@pytest.fixture
def bccd():
    folder = os.environ.get("SAMIX_DATA_ROOT")
    root = Path(folder or ".") / "bccd"
    if not (root / "VOCdevkit").is_dir():
        pytest.skip("set SAMIX_DATA_ROOT to a folder that holds the set bccd")
    return root


def test_blood_cells(bccd, caplog):
    """The set has 4,888 boxes, two of them a single point, which torchvision's reader returns too."""
    with caplog.at_level(logging.WARNING):
        train = read_voc(bccd, "2007", "trainval")
        test = read_voc(bccd, "2007", "test", train.classes)
    assert train.classes == ["Platelets", "RBC", "WBC"]
    assert (len(train), len(test)) == (292, 72)
    assert sum(len(boxes) for boxes in train.boxes + test.boxes) == 4888 - 2
    dropped = [int(record.args[2]) for record in caplog.records]
    assert sum(dropped) == 2

    image, annotation = VOCDetection(str(bccd), year="2007", image_set="test")[3]
    first = annotation["annotation"]["object"][0]
    corners = [float(first["bndbox"][key]) for key in ("xmin", "ymin", "xmax", "ymax")]
    assert test.boxes[3][0].tolist() == [corners[0] - 1, corners[1] - 1, corners[2], corners[3]]
    assert test.classes[test.labels[3][0] - 1] == first["name"]
    assert test.image(3).shape == (3, image.height, image.width)
