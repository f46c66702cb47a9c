"""The augmentations of AugMix and PixMix, image by image against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from samix.mixup.operations import ALL, PLAIN, Operations, apply, draw_operations


def images(n, size=(13, 18)):
    generator = torch.Generator().manual_seed(n)
    x = torch.randint(20, 230, (n, 3, *size), generator=generator, dtype=torch.uint8)
    x[-1] = 77  # one colour
    return x


def pillow(image, name, level, sign):
    """AugMix's own functions (augmentations.py), its random numbers given."""
    pil = Image.fromarray(image.permute(1, 2, 0).numpy())
    w, h = pil.size

    def affine(matrix):
        return pil.transform((w, h), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)

    factor = level * 1.8 / 10 + 0.1
    changes = {
        "autocontrast": lambda: ImageOps.autocontrast(pil),
        "equalize": lambda: ImageOps.equalize(pil),
        "posterize": lambda: ImageOps.posterize(pil, 4 - int(level * 4 / 10)),
        "rotate": lambda: pil.rotate(sign * int(level * 30 / 10), resample=Image.Resampling.BILINEAR),
        "solarize": lambda: ImageOps.solarize(pil, 256 - int(level * 256 / 10)),
        "shear_x": lambda: affine((1, sign * level * 0.3 / 10, 0, 0, 1, 0)),
        "shear_y": lambda: affine((1, 0, 0, sign * level * 0.3 / 10, 1, 0)),
        "translate_x": lambda: affine((1, 0, sign * int(level * (w / 3) / 10), 0, 1, 0)),
        "translate_y": lambda: affine((1, 0, 0, 0, 1, sign * int(level * (h / 3) / 10))),
        "colour": lambda: ImageEnhance.Color(pil).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(pil).enhance(factor),
        "brightness": lambda: ImageEnhance.Brightness(pil).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(pil).enhance(factor),
    }
    return torch.from_numpy(np.array(changes[name]())).permute(2, 0, 1)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_against_pillow(name, sign):
    x = images(6)
    levels = np.array([0.1, 1.3, 2.9, 5.2, 9.9, 3.3])
    before = x.clone()
    found = apply(x, Operations(np.array([name] * 6), levels, np.full(6, sign)))
    assert torch.equal(x, before) and found.dtype == torch.uint8
    for one, level, got in zip(x, levels, found, strict=True):
        want = pillow(one, name, level, sign)
        # rounding only; two roundings one after the other if an image is blended with a rounded one
        assert (got.int() - want.int()).abs().max() <= (2 if name in ("colour", "contrast") else 1)
        if name in ("posterize", "solarize", "equalize", "translate_x", "translate_y"):
            assert torch.equal(got, want)


def test_each_image_has_its_own_operation():
    x = images(5)
    names = np.array(["rotate", "", "solarize", "equalize", "rotate"])
    levels, signs = np.array([3.0, 4.0, 5.0, 6.0, 9.0]), np.array([1.0, 1.0, -1.0, 1.0, -1.0])
    found = apply(x, Operations(names, levels, signs))
    for i in range(5):
        own = Operations(names[i : i + 1], levels[i : i + 1], signs[i : i + 1])
        alone = apply(x[i : i + 1], own)
        assert torch.equal(found[i], alone[0])
    assert torch.equal(found[1], x[1]) and not torch.equal(found[0], x[0])


def test_draws():
    names, levels, signs = draw_operations(4000, 3.0, PLAIN, np.random.default_rng(0))
    assert set(names) == set(PLAIN) and set(signs) == {-1.0, 1.0}
    assert 0.1 <= levels.min() < 0.12 and 2.98 < levels.max() <= 3
    counts = np.array([(names == name).sum() for name in PLAIN])
    assert abs(counts - 4000 / 9).max() < 100
