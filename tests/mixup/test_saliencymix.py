"""SaliencyMix pixel by pixel, and its detector against loops and OpenCV's figures."""

import math

import numpy as np
import pytest
import torch

from helpers.mixing import mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import SaliencyMix
from samix.mixup.fine_grained import fine_grained_saliency

OPENCV = [  # cv2.saliency.StaticSaliencyFineGrained of opencv-contrib-python-headless 5.0.0 for `pattern()`
    [15, 105, 150, 75, 75, 120, 135, 105, 11, 92],
    [90, 120, 135, 60, 15, 45, 90, 135, 75, 0],
    [120, 105, 60, 11, 46, 23, 60, 120, 120, 105],
    [45, 0, 23, 57, 46, 45, 105, 15, 46, 46],
    [23, 57, 57, 0, 75, 165, 135, 57, 197, 220],
    [46, 104, 92, 75, 210, 195, 45, 139, 243, 255],
    [46, 139, 139, 75, 255, 195, 0, 173, 243, 243],
]


def pattern():
    y, x, c = np.ogrid[:7, :10, :3]
    pixels = (y * 37 + x * 91 + c * 53 + y * x * x * 5) % 256
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


def naive_saliency(image):
    """Image (3, H, W) in [0, 1] -> (H, W): centre minus surround at six scales, on and off apart."""
    _, h, w = image.shape
    r, g, b = (image.double().numpy() * 255).round()
    grey = np.floor(0.299 * r + 0.587 * g + 0.114 * b + 0.5)

    def mirrored(i, size):
        return 0 if size == 1 else abs(i) if i < size else 2 * size - 2 - i

    for _ in range(2):
        blurred = np.zeros((h, w))
        for y, x in np.ndindex(h, w):
            near = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            total = sum(
                (2 - abs(dy)) * (2 - abs(dx)) * grey[mirrored(y + dy, h), mirrored(x + dx, w)]
                for dy, dx in near
            )
            blurred[y, x] = math.floor(total / 16 + 0.5)
        grey = blurred
    on, off = np.zeros((h, w)), np.zeros((h, w))
    for y, x in np.ndindex(h, w):
        for scale in (12, 24, 28, 48, 56, 112):
            rows = slice(max(0, y - scale + 1), min(h, y + scale + 1))
            window = grey[rows, max(0, x - scale + 1) : min(w, x + scale + 1)]
            if window.size > 1:
                contrast = grey[y, x] - (window.sum() - grey[y, x]) / (window.size - 1)
                on[y, x] += math.floor(max(contrast, 0) + 1e-9)
                off[y, x] += math.floor(max(-contrast, 0) + 1e-9)
    on, off = (np.floor(255 * part / max(part.max(), 1) + 1e-9) for part in (on, off))
    return np.minimum(on + off, 255)


@pytest.mark.parametrize("size", [(7, 10), (30, 26), (1, 9), (9, 1), (1, 1), (2, 40)])
def test_detector_against_loops(size):
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(size[0]))
    images[1] = 0.5 * images[1].round()
    images[2] = 0.3
    found = fine_grained_saliency(images)
    for image, saliency in zip(images, found, strict=True):
        np.testing.assert_array_equal(saliency, naive_saliency(image))
    assert not found[2].any()


def test_detector_against_opencv():
    assert fine_grained_saliency(pattern())[0].tolist() == OPENCV


def boxed(centre, size, lam):
    half = int(size * math.sqrt(1 - lam)) // 2
    return range(max(0, centre - half), min(size, centre + half))


@pytest.mark.slow
@pytest.mark.parametrize("own_boxes", [False, True])
@pytest.mark.parametrize("lam", [0.0, 0.37, 0.8, 0.99, 1.0])
@pytest.mark.parametrize("size", [(16, 16), (9, 22)])
def test_box_around_the_most_salient_pixel(own_boxes, lam, size):
    noise = torch.Generator().manual_seed(3)
    first, second = torch.rand(2, 4, 3, *size, generator=noise)
    options = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    out = mixed_pairs(SaliencyMix(**options, own_boxes=own_boxes), first, second, lam, rng=None)
    centres = []
    for n in range(4):
        saliency = naive_saliency(second[n if own_boxes else 0])
        centres.append(divmod(int(saliency.argmax()), size[1]))
        rows, columns = (boxed(centre, s, lam) for centre, s in zip(centres[-1], size, strict=True))
        for y, x in np.ndindex(*size):
            pasted = y in rows and x in columns
            assert out.mask[n, 0, y, x] == (not pasted)
            assert torch.equal(out.images[n, :, y, x], (second if pasted else first)[n, :, y, x])
        share = 1 - len(rows) * len(columns) / math.prod(size)
        assert out.weights[:, n].tolist() == pytest.approx([share, 1 - share], abs=1e-6)
    assert len(set(centres)) == (4 if own_boxes else 1)


def test_first_of_equals():
    """The pattern is brightest at (5, 9) and at (6, 4); the upper row comes first."""
    second = pattern()
    policy = SaliencyMix((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    mask = mixed_pairs(policy, torch.zeros_like(second), second, 1 - 0.4**2, rng=None).mask[0, 0]
    assert (mask == 0).nonzero().tolist() == [[4, 7], [4, 8], [4, 9], [5, 7], [5, 8], [5, 9]]


def test_images_are_looked_at_as_they_were():
    """Normalised images with their mean and std: the box that the images themselves would get."""
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.25, 0.4)
    images = torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    normalised = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    first = torch.zeros_like(images)
    plain = SaliencyMix((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), own_boxes=True)
    told = SaliencyMix(mean, std, own_boxes=True)
    masks = [
        mixed_pairs(policy, first, second, 0.7, rng=None).mask
        for policy, second in ((plain, images), (told, normalised), (plain, normalised))
    ]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_without_mean_and_std_images_are_stretched():
    images = torch.rand(3, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 1
    first = torch.zeros_like(images)
    plain = SaliencyMix((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), own_boxes=True)
    want = mixed_pairs(plain, first, images, 0.7, rng=None).mask
    got = mixed_pairs(SaliencyMix(own_boxes=True), first, images * 4 - 2, 0.7, rng=None).mask
    assert torch.equal(got, want)


@pytest.mark.parametrize("options", [{"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}])
def test_mean_and_std_belong_together(options):
    with pytest.raises(ConfigError, match="mean and std"):
        SaliencyMix(**options)
