"""Boxes through VOC's XML and back, against torchvision's own parser."""

import xml.etree.ElementTree as ET

import pytest
from torchvision.datasets import VOCDetection

from samix.core.errors import DataError
from samix.detection.annotation import BoxObject, read_annotation, write_annotation

OBJECTS = [
    BoxObject("cat", (0.0, 0.0, 20.0, 10.0)),
    BoxObject("dog", (3.0, 4.0, 5.0, 6.0), difficult=True),
]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "VOC2007" / "Annotations").mkdir(parents=True)
    return tmp_path / "VOC2007" / "Annotations" / "one.xml"


def test_objects_survive_the_file_exactly(path):
    write_annotation(path, "one.jpg", (10, 20), OBJECTS)
    assert read_annotation(path) == (OBJECTS, 0)


def test_the_file_counts_pixels_from_one_and_includes_the_last(path):
    """A box over the whole picture of 20 x 10 pixels is 1..20, 1..10 in VOC."""
    write_annotation(path, "one.jpg", (10, 20), OBJECTS)
    parsed = VOCDetection.parse_voc_xml(ET.parse(path).getroot())["annotation"]
    assert parsed["object"][0]["bndbox"] == {"xmin": "1", "ymin": "1", "xmax": "20", "ymax": "10"}
    assert parsed["object"][1]["bndbox"] == {"xmin": "4", "ymin": "5", "xmax": "5", "ymax": "6"}
    assert parsed["object"][1]["difficult"] == "1"
    assert parsed["size"] == {"height": "10", "width": "20", "depth": "3"}
    assert (parsed["folder"], parsed["filename"]) == ("VOC2007", "one.jpg")


def box_xml(xmin, ymin, xmax, ymax):
    corners = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"<object><name>cat</name><bndbox>{corners}</bndbox></object>"


def test_objects_without_area_are_dropped_and_counted(path):
    boxes = [(5, 5, 5, 9), (5, 5, 9, 4), (5, 5, 6, 6)]
    path.write_text("<annotation>" + "".join(box_xml(*box) for box in boxes) + "</annotation>")
    objects, dropped = read_annotation(path)
    assert dropped == 2
    assert objects == [BoxObject("cat", (4.0, 4.0, 6.0, 6.0))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "one.xml"),
        ("<annotation><object><name>cat</name></object></annotation>", "no <bndbox/xmin>"),
        (f"<annotation>{box_xml(1, 1, 'x', 4)}</annotation>", "could not convert"),
        (f"<annotation>{box_xml(1, 1, 'nan', 4)}</annotation>", "not finite"),
    ],
)
def test_damaged_annotations_are_named(path, text, message):
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_annotation(path)


def test_missing_annotation_is_named(path):
    with pytest.raises(DataError, match="one.xml"):
        read_annotation(path)
