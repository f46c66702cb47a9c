"""Average precision of boxes as COCO counts it, by pycocotools, in memory."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from samix.detection.predict import Detections
from samix.detection.voc import DetectionSet

# COCOeval ignores objects beyond its largest area; a match with one counts neither way
_BEYOND = 1e12
_NAMES = ("AP", "AP50", "AP75")


def coco_metrics(detections: Sequence[Detections], targets: DetectionSet) -> dict[str, float]:
    """AP (mean over IoU .50:.05:.95), AP50 and AP75 over all classes with an object, each in [0, 1].

    Difficult objects are ignored, as VOC does. No detection at all is an AP of 0.

    Args: detections, one per picture of `targets`, in its order.
    Raises: ValueError if the numbers of pictures differ, or no object counts, so that AP has no value.
    """
    if len(detections) != len(targets):
        raise ValueError(f"{len(detections)} detections for {len(targets)} pictures")
    if all(bool(difficult.all()) for difficult in targets.difficult):
        raise ValueError("the targets have no object that counts: AP is not defined")
    results = [row for image, found in enumerate(detections) for row in _results(image, found)]
    if not results:
        return dict.fromkeys(_NAMES, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _truth(targets)
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: float(value) for name, value in zip(_NAMES, evaluation.stats[:3], strict=True)}


def _truth(targets: DetectionSet) -> COCO:
    objects: list[dict[str, Any]] = []
    for image, (boxes, labels, difficult) in enumerate(
        zip(targets.boxes, targets.labels, targets.difficult, strict=True)
    ):
        for (x, y, w, h), label, hard in zip(_xywh(boxes), labels.tolist(), difficult.tolist(), strict=True):
            area = _BEYOND if hard else w * h
            objects.append(
                {
                    "id": len(objects) + 1,  # COCOeval takes id 0 for "no match"
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x, y, w, h],
                    "area": area,
                    "iscrowd": 0,
                }
            )
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(len(targets))],
        "categories": [{"id": k, "name": name} for k, name in enumerate(targets.classes, start=1)],
        "annotations": objects,
    }
    truth.createIndex()
    return truth


def _results(image: int, found: Detections) -> list[dict[str, Any]]:
    rows = zip(_xywh(found["boxes"]), found["labels"].tolist(), found["scores"].tolist(), strict=True)
    return [
        {"image_id": image, "category_id": label, "bbox": box, "score": score} for box, label, score in rows
    ]


def _xywh(boxes: Tensor) -> list[list[float]]:
    values = boxes.double().reshape(-1, 4)
    xywh: list[list[float]] = (values - values[:, [0, 1, 0, 1]] * values.new_tensor([0, 0, 1, 1])).tolist()
    return xywh
