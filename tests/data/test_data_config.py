import subprocess
import sys

import pytest
from pydantic import ValidationError

from samix.config.data import AugmentConfig, DataConfig


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "imagenet"},
        {"image_size": 0},
        {"limit": 0},
        {"test_fraction": 1.0},
        {"mean": (0.5, 0.5, 0.5)},
        {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.0, 0.5)},
        {"mean": (0.5, 0.5, 50.0), "std": (0.5, 0.5, 0.5)},
        {"imagesize": 32},
    ],
)
def test_data_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        DataConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_scale": (0.8, 0.2)},
        {"crop_scale": (0.0, 1.0)},
        {"crop_scale": (0.2, 1.5)},
        {"crop_ratio": (2.0, 1.0)},
        {"blur_sigma": (2.0, 0.1)},
        {"gray_p": 1.1},
        {"hue": 0.6},
    ],
)
def test_augmentation_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        AugmentConfig(**settings)


def test_the_defaults_are_those_of_moco_v2():
    config = AugmentConfig()
    assert config.crop_scale == (0.2, 1.0)
    assert (config.brightness, config.contrast, config.saturation, config.hue) == (0.4, 0.4, 0.4, 0.1)
    assert (config.jitter_p, config.gray_p, config.blur_p) == (0.8, 0.2, 0.5)


def test_the_models_import_nothing_heavy():
    code = "import sys, samix.config.data; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
