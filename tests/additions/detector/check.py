import torch

from samix.config.detection import DetectorConfig
from samix.detection.detectors import DETECTORS


def test_its_box_is_in_the_middle():
    config = DetectorConfig(name="toy")
    detector = DETECTORS[config.name](None, 3, config, mean=[0.5] * 3, std=[0.5] * 3)
    (found,) = detector([torch.zeros(3, 20, 20)])
    assert found["boxes"].tolist() == [[6, 6, 14, 14]]
