"""Figures of a classifier: top-k accuracy, confusion matrix, and how a run is summarised."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from torch import Tensor


def accuracies(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """top1 and top5 in percent of logits (N, C) against labels (N,); top5 of the best min(5, C) classes."""
    from torchmetrics.functional.classification import multiclass_accuracy

    def share(k: int) -> Tensor:
        share: Tensor = multiclass_accuracy(
            logits, labels, num_classes=classes, top_k=min(k, classes), average="micro"
        )
        return share

    classes = logits.shape[1]
    return {f"top{k}": 100 * float(share(k)) for k in (1, 5)}


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> list[list[int]]:
    """Counts (classes, classes): row = label, column = prediction; both (N,)."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    matrix: list[list[int]] = multiclass_confusion_matrix(predicted, labels, num_classes=classes).tolist()
    return matrix


def summarise(curve: Sequence[float]) -> dict[str, float]:
    """Last value of a validation curve and the median of its last 10 values (the paper's figure)."""
    return {"last": curve[-1], "median": median(curve[-10:])}
