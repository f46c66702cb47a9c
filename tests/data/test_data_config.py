import pytest
from pydantic import ValidationError

from samix.config.data import AugmentConfig, DataConfig, SupervisedAugmentConfig
from samix.data.sources import SOURCES


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
        {"image_size": 32, "stored_size": 31},
        {"classes": 0},
        {"interpolation": "nearest"},
        {"source": "cub200", "download": True},
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
        {"blur_sigma": (2.0, 0.1)},
        {"gray_p": 1.1},
        {"hue": 0.6},
    ],
)
def test_augmentation_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        AugmentConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"crop": "random"},
        {"pad": 0},
        {"crop_scale": (0.2, 1.5)},
        {"interpolation": "lanczos"},
        {"erasing": 1.1},
        {"rand_augment": "m9-n2"},
        {"rand_augment": "rand-m9.5"},
        {"rand_augment": "rand-mstd"},
        {"rand_augment": "rand-x3"},
        {"rand_augment": "rand-tnothing"},
    ],
)
def test_supervised_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        SupervisedAugmentConfig(**settings)


@pytest.mark.parametrize(
    "recipe", ["rand", "rand-m7-n2-mstd0.5", "rand-m9-mstd0.5-inc1", "rand-p0.5-tweights"]
)
def test_recipes_of_rand_augment_are_taken(recipe):
    assert SupervisedAugmentConfig(rand_augment=recipe).rand_augment == recipe


def test_sources_say_whether_they_download():
    known = {"digits", "fashion_mnist", "cifar10", "cifar100", "stl10", "tiny_imagenet", "cub200", "aircraft"}
    downloads = {name for name in known | {"folder"} if SOURCES[name].downloads}
    assert downloads == {"fashion_mnist", "cifar10", "cifar100", "stl10", "aircraft"}
    assert all(kind.name == name for name, kind in SOURCES.items())


def test_the_defaults_are_those_of_moco_v2():
    config = AugmentConfig()
    assert config.crop_scale == (0.2, 1.0)
    assert (config.brightness, config.contrast, config.saturation, config.hue) == (0.4, 0.4, 0.4, 0.1)
    assert (config.jitter_p, config.gray_p, config.blur_p) == (0.8, 0.2, 0.5)
