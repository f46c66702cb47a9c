"""Prediction over a set: order, batches, and the detector left as it was."""

import pytest
import torch
from PIL import Image
from torch import nn

from samix.detection.predict import predict
from samix.detection.voc import DetectionSet


class Echo(nn.Module):
    """Detects, in every picture, one box as large as it, scored by its brightness."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.batches = []

    def forward(self, images):
        self.batches.append((len(images), self.training, torch.is_grad_enabled()))
        return [
            {
                "boxes": torch.tensor([[0.0, 0.0, image.shape[2], image.shape[1]]]),
                "labels": torch.tensor([1]),
                "scores": self.weight * image.max(),
            }
            for image in images
        ]


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for i in range(5):
        paths.append(tmp_path / f"{i}.png")
        Image.new("L", (10 + i, 20), 51 * i).save(paths[-1])
    empty = [torch.zeros(0)] * 5
    return DetectionSet(paths, empty, empty, empty, ["a"])


@pytest.mark.parametrize("training", [True, False])
def test_every_picture_in_order_without_gradient(pictures, training, monkeypatch):
    monkeypatch.setattr("samix.detection.predict.BATCH", 2)
    detector = Echo().train(training)
    found = predict(detector, pictures)
    assert [row["boxes"][0].tolist() for row in found] == [[0, 0, 10 + i, 20] for i in range(5)]
    assert [row["scores"].item() for row in found] == pytest.approx([0.2 * i for i in range(5)])
    assert detector.batches == [(2, False, False), (2, False, False), (1, False, False)]
    assert detector.training is training and not found[0]["scores"].requires_grad
