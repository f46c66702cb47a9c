"""The detectors by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from samix.config import registry
from samix.config.names import Registered

DETECTORS: Registered[Callable[..., nn.Module]] = Registered(registry.DETECTORS)
"""A function of (backbone, classes, config, *, mean, std) for each name, which returns the detector.

backbone: its present weights are copied; classes: K without the background; config: a `DetectorConfig`;
mean and std: per channel, of pixels in [0, 1]. The detector has the interface of torchvision's: in training,
images and targets -> a dict of losses; in evaluation, images -> boxes, labels and scores of each.
"""
