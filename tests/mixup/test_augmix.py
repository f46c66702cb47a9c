"""AugMix against one image after the other in float64, its draws written out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import lam_of, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup.operations import ALL, PLAIN, Operations, apply
from samix.mixup.policies.augmix import AugMix

MEAN, STD = (0.4, 0.5, 0.6), (0.1, 0.25, 0.4)
UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def mixed(policy, images, seed=0):
    return mixed_pairs(policy, images, images.flip(0), 0.3, seed)


def pictures(n=4, size=(9, 12), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 3, *size), generator=generator).float() / 255


def by_hand(images, names, severity, seed):
    """The mixed images (N, 3, H, W) in float64: the draws in their order, then image by image."""
    n, draw = len(images), np.random.default_rng(seed)
    depths = draw.integers(1, 4, 3 * n)
    steps = []
    for _ in range(3):
        chosen = np.array(names)[draw.integers(len(names), size=3 * n)]
        steps.append((chosen, draw.uniform(0.1, severity, 3 * n), draw.choice([-1.0, 1.0], 3 * n)))
    weights, m = draw.dirichlet([1, 1, 1], n), draw.beta(1, 1, n)
    out = []
    for i, image in enumerate(images):
        total = (1 - m[i]) * image.double()
        for chain in range(3):
            row, changed = chain * n + i, (image[None] * 255).round().to(torch.uint8)
            for step in range(depths[row]):
                changed = apply(changed, Operations(*(part[row : row + 1] for part in steps[step])))
            total += m[i] * weights[i, chain] * changed[0].double() / 255
        out.append(total)
    return torch.stack(out)


@pytest.mark.parametrize(("everything", "names"), [(False, PLAIN), (True, ALL)])
@pytest.mark.parametrize("severity", [1.0, 9.0])
def test_image_by_image(everything, names, severity):
    images = pictures(6)
    before = images.clone()
    out = mixed(AugMix(**UNIT, severity=severity, all_operations=everything), images, seed=5)
    torch.testing.assert_close(out.images.double(), by_hand(images, names, severity, 5), atol=1e-5, rtol=0)
    assert torch.equal(images, before) and lam_of(out) == 1 and out.mask is None


def test_normalised_images_are_looked_at_as_they_were():
    images = pictures()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    want = mixed(AugMix(**UNIT), images).images
    got = mixed(AugMix(MEAN, STD), (images - mean) / std).images
    torch.testing.assert_close(got * std + mean, want, atol=1e-5, rtol=0)


def test_without_mean_and_std_images_are_stretched():
    images = pictures()
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 1
    want = mixed(AugMix(**UNIT), images).images
    torch.testing.assert_close(mixed(AugMix(), images * 4 - 2).images, want * 4 - 2, atol=1e-4, rtol=0)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 5), h=st.integers(1, 20), w=st.integers(1, 20), seed=st.integers(0, 1000))
def test_any_size(n, h, w, seed):
    images = pictures(n, (h, w), seed)
    out = mixed(AugMix(**UNIT, all_operations=True), images, seed).images
    assert out.shape == images.shape and out.min() >= -1e-6 and out.max() <= 1 + 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(dtype):
    assert mixed(AugMix(), pictures().to(dtype)).images.dtype == dtype


def test_seeds_decide():
    images = pictures()
    one, two, other = (mixed(AugMix(), images, seed).images for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("options", [{"severity": 0.0}, {"severity": 11.0}, {"mean": MEAN}, {"std": STD}])
def test_refused_options(options):
    with pytest.raises(ConfigError, match="AugMix: (severity|mean and std)"):
        AugMix(**options)
