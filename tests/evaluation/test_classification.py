"""Figures of a classifier against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from samix.evaluation.classification import accuracies, confusion, summarise


def guesses(n, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    logits = torch.randn(n, classes, generator=generator)
    logits[torch.arange(n), labels] += 0.7
    return logits, labels


@pytest.mark.parametrize("classes", [3, 5, 10, 100])
def test_accuracies(classes):
    logits, labels = guesses(400, classes)
    found = accuracies(logits, labels)
    options = {"labels": np.arange(classes)}
    top1 = top_k_accuracy_score(labels, logits, k=1, **options)
    assert found["top1"] == pytest.approx(100 * top1, abs=1e-4) and 0 < top1 < 1
    if classes > 5:
        top5 = top_k_accuracy_score(labels, logits, k=5, **options)
        assert found["top5"] == pytest.approx(100 * top5, abs=1e-4) and top1 < top5 < 1
    else:
        assert found["top5"] == 100


def test_two_classes():
    logits, labels = (
        torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 3.0]]),
        torch.tensor([0, 1, 1, 1]),
    )
    assert accuracies(logits, labels) == {"top1": 75.0, "top5": 100.0}


def test_confusion_has_labels_in_rows_and_classes_that_do_not_occur():
    logits, labels = guesses(200, 6)
    predicted = logits[:, :5].argmax(1)  # the last class is never predicted
    found = confusion(predicted, labels, 7)  # and one never occurs
    assert found == confusion_matrix(labels, predicted, labels=range(7)).tolist()
    assert found[5][5] == 0 and sum(found[5]) > 0


def test_summary_is_the_last_value_and_the_median_of_the_last_ten():
    curve = [100.0, 99.0, *range(1, 10), 50.0]
    assert summarise(curve) == {"last": 50.0, "median": 5.5}
    assert summarise([3.0, 1.0]) == {"last": 1.0, "median": 2.0}
