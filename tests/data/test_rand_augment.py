import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import RandAugment as Theirs

from samix.data.rand_augment import RandAugment, global_seed

MEAN = (0.485, 0.456, 0.406)
RECIPE = "rand-m9-n3-mstd0.5-inc1"


def _images(n=12, size=24):
    pixels = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0))
    return pixels / 255


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_it_is_what_timms_own_training_transform_holds(interpolation):
    whole = create_transform(
        40, is_training=True, auto_augment=RECIPE, interpolation=interpolation, mean=MEAN
    )
    (theirs,) = [step for step in whole.transforms if isinstance(step, Theirs)]
    ours = RandAugment(RECIPE, 40, MEAN, interpolation).transform
    assert ours.num_layers == theirs.num_layers == 3
    assert [_settings(op) for op in ours.ops] == [_settings(op) for op in theirs.ops]


def _settings(step):
    """Attributes of an operation; without the function of posterize, which has a test of its own below."""
    return {**vars(step), "aug_fn": None if "Posterize" in step.name else step.aug_fn}


def test_posterize_to_no_bits_is_black_and_else_timms():
    augment = RandAugment("rand-m9-mstd0.5-inc1", 8, MEAN, "bilinear")
    (step,) = [op.aug_fn for op in augment.transform.ops if op.name.startswith("Posterize")]
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert not np.asarray(step(image, 0)).any()
    for bits in (1, 4, 7, 8):
        assert np.array_equal(np.asarray(step(image, bits)), pixels >> (8 - bits) << (8 - bits))


@pytest.mark.slow
def test_thousands_of_draws_of_the_strongest_recipe():
    augment = RandAugment("rand-m9-mstd0.5-inc1", 8, MEAN, "bilinear")
    images = _images(2000, 8)
    for seed in range(3):
        assert augment(images, _generator(seed)).isfinite().all()


def test_images_are_those_of_timm_under_the_seed_of_the_generator():
    images = _images()
    augment = RandAugment(RECIPE, 24, MEAN, "bicubic")
    views = augment(images, _generator())
    seed = int(torch.randint(2**32, (1,), generator=_generator()))
    random.seed(seed)
    np.random.seed(seed)
    for image, view in zip(images, views, strict=True):
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        expected = np.asarray(augment.transform(Image.fromarray(pixels)))
        assert ((view * 255).round().byte().permute(1, 2, 0).numpy() == expected).all()
    assert not torch.equal(views, images)


def test_the_generator_alone_decides_and_moves_on():
    augment, images = RandAugment(RECIPE, 24, MEAN, "bilinear"), _images()
    random.seed(1)
    np.random.seed(1)
    generator = _generator()
    first, second = augment(images, generator), augment(images, generator)
    random.seed(2)
    np.random.seed(2)
    assert torch.equal(first, augment(images, _generator()))
    assert not torch.equal(first, second)
    assert not torch.equal(first, augment(images, _generator(1)))


def test_global_generators_are_put_back_even_after_an_error():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    RandAugment(RECIPE, 24, MEAN, "bilinear")(_images(2), _generator())
    with pytest.raises(KeyError), global_seed(7):
        raise KeyError
    assert (random.random(), np.random.rand()) == expected


def test_equal_images_are_changed_differently():
    views = RandAugment("rand-m9-n3-p1", 24, MEAN, "bilinear")(
        _images(1).expand(20, -1, -1, -1), _generator()
    )
    assert len(views.flatten(1).unique(dim=0)) > 15
