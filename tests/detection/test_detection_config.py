"""Parameters that the stage detection_transfer refuses."""

import pytest
from pydantic import ValidationError

from samix.config.detection import DetectionConfig, DetectorConfig, SceneConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objects": (4, 2)}, "the first number must not exceed the second"),
        ({"objects": (0, 2)}, "greater than or equal to 1"),
        ({"object_size": (30, 20)}, "smallest <= largest"),
        ({"size": 64, "object_size": (16, 40)}, "<= 32"),
        ({"clutter": 1.5}, "less than or equal to 1"),
    ],
)
def test_scenes_that_cannot_be_composed(values, message):
    with pytest.raises(ValidationError, match=message):
        SceneConfig(**values)


def test_unknown_keys_and_years():
    with pytest.raises(ValidationError, match="Extra inputs"):
        DetectorConfig(anchors=(16,))
    with pytest.raises(ValidationError, match="year"):
        DetectionConfig(year="07")
