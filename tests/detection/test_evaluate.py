"""COCO's average precision against cases that can be computed by hand."""

from pathlib import Path

import pytest
import torch

from samix.detection.evaluate import coco_metrics
from samix.detection.voc import DetectionSet

BOX = [10.0, 10.0, 30.0, 50.0]


def truth(*pictures, classes=("cat", "dog")):
    """One list of (box, label) or (box, label, difficult) a picture."""
    return DetectionSet(
        paths=[Path(f"{i}.jpg") for i in range(len(pictures))],
        boxes=[torch.tensor([row[0] for row in rows]).reshape(-1, 4) for rows in pictures],
        labels=[torch.tensor([row[1] for row in rows], dtype=torch.int64) for rows in pictures],
        difficult=[torch.tensor([len(row) > 2 for row in rows], dtype=torch.bool) for rows in pictures],
        classes=list(classes),
    )


def found(*rows):
    """(box, label, score) of one picture."""
    return {
        "boxes": torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor([row[1] for row in rows], dtype=torch.int64),
        "scores": torch.tensor([row[2] for row in rows], dtype=torch.float32),
    }


def shifted(iou):
    """BOX moved right so far that its overlap with BOX is `iou`."""
    overlap = 20 * 2 * iou / (1 + iou)
    return [30 - overlap, 10, 50 - overlap, 50]


def test_perfect_detections_score_one(capsys):
    metrics = coco_metrics([found((BOX, 1, 0.9)), found((BOX, 2, 0.8))], truth([(BOX, 1)], [(BOX, 2)]))
    assert metrics == pytest.approx({"AP": 1, "AP50": 1, "AP75": 1})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("iou", "hit"), [(0.62, 3), (0.77, 6), (0.96, 10), (0.48, 0)])
def test_thresholds_below_the_overlap_count(iou, hit):
    """Thresholds are .50, .55, ..., .95: at IoU .62 the first three count."""
    metrics = coco_metrics([found((shifted(iou), 1, 0.9))], truth([(BOX, 1)]))
    expected = {"AP": hit / 10, "AP50": float(iou > 0.5), "AP75": float(iou > 0.75)}
    assert metrics == pytest.approx(expected)


def test_a_false_detection_before_the_right_one_halves_precision():
    wrong = [60.0, 60.0, 80.0, 80.0]
    detections = [found((wrong, 1, 0.9), (BOX, 1, 0.5))]
    assert coco_metrics(detections, truth([(BOX, 1)]))["AP"] == pytest.approx(0.5)
    detections = [found((wrong, 1, 0.4), (BOX, 1, 0.5))]
    assert coco_metrics(detections, truth([(BOX, 1)]))["AP"] == pytest.approx(1.0)


def test_half_of_the_objects_found():
    """Precision 1 up to recall .5, then 0: 51 of the 101 recall levels."""
    other = [60.0, 60.0, 80.0, 80.0]
    metrics = coco_metrics([found((BOX, 1, 0.9))], truth([(BOX, 1), (other, 1)]))
    assert metrics["AP"] == pytest.approx(51 / 101)


def test_the_right_box_with_the_wrong_class_is_no_hit():
    assert coco_metrics([found((BOX, 2, 0.9))], truth([(BOX, 1)]))["AP"] == 0


def test_classes_without_objects_do_not_count():
    """COCO marks them with -1 and leaves them out of the mean, even if they are detected."""
    other = [60.0, 60.0, 80.0, 80.0]
    metrics = coco_metrics([found((BOX, 1, 0.9), (other, 2, 0.9))], truth([(BOX, 1)]))
    assert metrics["AP"] == pytest.approx(1.0)


def test_the_mean_is_over_classes():
    other = [60.0, 60.0, 80.0, 80.0]
    metrics = coco_metrics([found((BOX, 1, 0.9))], truth([(BOX, 1), (other, 2)]))
    assert metrics["AP"] == pytest.approx(0.5)


def test_difficult_objects_count_neither_way():
    other = [60.0, 60.0, 80.0, 80.0]
    targets = truth([(BOX, 1), (other, 1, True)])
    assert coco_metrics([found((BOX, 1, 0.5))], targets)["AP"] == pytest.approx(1.0)
    assert coco_metrics([found((BOX, 1, 0.5), (other, 1, 0.9))], targets)["AP"] == pytest.approx(1.0)
    # a box elsewhere is still wrong
    elsewhere = [0.0, 60.0, 20.0, 80.0]
    assert coco_metrics([found((BOX, 1, 0.5), (elsewhere, 1, 0.9))], targets)["AP"] == pytest.approx(0.5)


def test_no_detections_score_zero():
    assert coco_metrics([found()], truth([(BOX, 1)])) == {"AP": 0, "AP50": 0, "AP75": 0}


def test_what_has_no_value_is_an_error():
    with pytest.raises(ValueError, match="2 detections for 1 pictures"):
        coco_metrics([found(), found()], truth([(BOX, 1)]))
    with pytest.raises(ValueError, match="no object that counts"):
        coco_metrics([found()], truth([(BOX, 1, True)]))
