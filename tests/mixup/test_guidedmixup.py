"""GuidedMixup and the spectral residual, against sums written out."""

import cmath
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import mixed_batch, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import GuidedMixup, ImageInfo, PairInfo, greedy_cycle
from samix.mixup.policies.guidedmixup import spectral_residual


def naive_transform(x, sign):
    h, w = x.shape
    out = np.zeros((h, w), dtype=complex)
    for v, u in np.ndindex(h, w):
        out[v, u] = sum(
            x[i, j] * cmath.exp(sign * 2j * math.pi * (v * i / h + u * j / w)) for i, j in np.ndindex(h, w)
        )
    return out


def naive_residual(grey):
    """Grey (H, W) -> saliency (H, W): all sums by hand."""
    h, w = grey.shape
    spectrum = naive_transform(grey, -1)
    logs = np.log(np.maximum(np.abs(spectrum), 1e-8))
    residual = np.zeros((h, w), dtype=complex)
    for v, u in np.ndindex(h, w):
        around = [logs[(v + dv) % h, (u + du) % w] for dv in (-1, 0, 1) for du in (-1, 0, 1)]
        residual[v, u] = cmath.exp(logs[v, u] - sum(around) / 9 + 1j * cmath.phase(spectrum[v, u]))
    return np.abs(naive_transform(residual, 1) / (h * w)) ** 2


def naive_map(saliency):
    h, w = saliency.shape
    out = np.zeros((h, w))
    weights = [math.exp(-(d**2) / 18) for d in range(-3, 4)]
    for y, x in np.ndindex(h, w):
        for dy, dx in np.ndindex(7, 7):
            near = saliency[min(max(y + dy - 3, 0), h - 1), min(max(x + dx - 3, 0), w - 1)]
            out[y, x] += weights[dy] * weights[dx] * near / sum(weights) ** 2
    return out / out.sum()


def require_mixed_by(maps, images, partners, out):
    for n, partner in enumerate(partners):
        mask = maps[n] / (maps[n] + maps[partner])
        np.testing.assert_allclose(out.mask[n, 0], mask, atol=1e-4)
        want = mask * images[n].numpy() + (1 - mask) * images[partner].numpy()
        np.testing.assert_allclose(out.images[n], want, atol=1e-4)
        assert out.weights[:, n].tolist() == pytest.approx([mask.mean(), 1 - mask.mean()], abs=1e-4)


@pytest.mark.parametrize("size", [(6, 5), (4, 9)])
def test_values_pixel_by_pixel(size):
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(1))
    out = mixed_batch(GuidedMixup("sr"), images, 0.9, rng=None, index=torch.tensor([1, 2, 0]))
    maps = [naive_map(naive_residual(image.double().mean(0).numpy())) for image in images]
    require_mixed_by(maps, images, (1, 2, 0), out)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e6])
def test_values_by_gradients_of_any_size(scale):
    noise = torch.Generator().manual_seed(1)
    images, saliency = torch.rand(3, 3, 6, 7, generator=noise), torch.rand(3, 1, 6, 7, generator=noise) ** 4
    seen = ImageInfo(saliency=saliency * scale)
    out = mixed_batch(GuidedMixup(), images, 0.9, rng=None, index=torch.tensor([1, 2, 0]), info=seen)
    require_mixed_by([naive_map(one[0].double().numpy()) for one in saliency], images, (1, 2, 0), out)


def test_no_gradient_anywhere_means_halves():
    images, seen = torch.rand(2, 3, 6, 7), ImageInfo(saliency=torch.zeros(2, 1, 6, 7))
    out = mixed_batch(GuidedMixup(), images, 0.9, rng=None, index=torch.tensor([1, 0]), info=seen)
    torch.testing.assert_close(out.weights, torch.full((2, 2), 0.5))


def test_long_sides_are_averaged_down():
    images = torch.rand(1, 3, 128, 64, generator=torch.Generator().manual_seed(0))
    grey = images[0].double().mean(0).numpy()
    small = (grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]) / 4
    spectrum = np.fft.fft2(small)
    logs = np.log(np.abs(spectrum))
    around = sum(np.roll(logs, (dv, du), (0, 1)) for dv in (-1, 0, 1) for du in (-1, 0, 1)) / 9
    want = np.abs(np.fft.ifft2(np.exp(logs - around + 1j * np.angle(spectrum)))) ** 2
    got = spectral_residual(images)[0, 0].double().numpy()
    assert got.shape == (128, 64)
    # bilinear twice as large: the mean of four neighbours is, inside, a blur of the small map by (1 6 1) / 8
    blur = want[:, :-2] + 6 * want[:, 1:-1] + want[:, 2:]
    blur = (blur[:-2] + 6 * blur[1:-1] + blur[2:]) / 64
    means = (got[::2, ::2] + got[1::2, ::2] + got[::2, 1::2] + got[1::2, 1::2]) / 4
    np.testing.assert_allclose(means[1:-1, 1:-1], blur, rtol=1e-2, atol=1e-8)


def test_brightness_and_contrast_do_not_matter():
    """Nor does normalisation, which is why no mean and std are required."""
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    policy = GuidedMixup("sr")
    plain, stretched = (policy.info_from(x, ImageInfo()).saliency for x in (images, images * 3))
    torch.testing.assert_close(plain, stretched, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(plain.sum((1, 2, 3)), torch.ones(2))


def test_a_spot_draws_attention():
    images = torch.zeros(1, 3, 32, 32)
    images[..., 20:23, 8:11] = 1
    saliency = GuidedMixup("sr").info_from(images, ImageInfo()).saliency
    row, column = divmod(saliency.flatten().argmax().item(), 32)
    assert abs(row - 21) <= 2 and abs(column - 9) <= 2


def test_labels_pass_and_saliency_is_needed():
    images = torch.rand(2, 3, 8, 8)
    seen = GuidedMixup("sr").info_from(images, ImageInfo(labels=torch.tensor([1, 2])))
    assert seen.labels.tolist() == [1, 2]
    with pytest.raises(ValueError, match="saliency of both parents, as"):
        mixed_pairs(GuidedMixup("sr"), images, images, 0.5, rng=None, info=PairInfo(seen, ImageInfo()))
    with pytest.raises(ValueError, match="saliency: sr"):
        GuidedMixup().info_from(images, ImageInfo())
    with pytest.raises(ConfigError, match="ap or sr"):
        GuidedMixup("gradient")


def test_requirements():
    assert GuidedMixup().requires == {"saliency"} and GuidedMixup("sr").requires == frozenset()


def naive_cycle(points):
    n = len(points)
    distance = [[math.dist(a, b) for b in points] for a in points]
    start, here = max(
        ((i, j) for i in range(n) for j in range(n) if i != j), key=lambda pair: distance[pair[0]][pair[1]]
    )
    partner = {start: here}
    while len(partner) < n:
        free = [j for j in range(n) if j not in partner and j != here]
        following = max(free, key=lambda j: distance[here][j], default=start)
        partner[here] = following
        here = following
    return [partner[i] for i in range(n)]


@settings(deadline=None, max_examples=100)
@given(n=st.integers(2, 12), seed=st.integers(0, 10_000))
def test_greedy_cycle(n, seed):
    maps = torch.rand(n, 1, 3, 4, generator=torch.Generator().manual_seed(seed))
    index = greedy_cycle(maps)
    assert index.tolist() == naive_cycle(maps.flatten(1).double().tolist())
    here, seen = 0, []
    for _ in range(n):
        here = index[here].item()
        seen.append(here)
    assert sorted(seen) == list(range(n))  # one cycle through all


def test_equal_maps_still_make_a_cycle():
    assert sorted(greedy_cycle(torch.ones(5, 1, 2, 2)).tolist()) == list(range(5))
    assert not (greedy_cycle(torch.ones(5, 1, 2, 2)) == torch.arange(5)).any()


def test_images_are_paired_by_their_own_saliency():
    images = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    policy = GuidedMixup("sr")

    out = mixed_batch(policy, images, 0.5, rng=None)
    maps = policy.info_from(images, ImageInfo()).saliency
    assert policy.chooses_partners and not out.everywhere
    assert out.index.tolist() == [list(range(6)), naive_cycle(maps.flatten(1).double().tolist())]
    given = mixed_batch(policy, images, 0.5, rng=None, index=out.index[1])
    assert torch.equal(out.images, given.images)
    with pytest.raises(ValueError, match="at least two"):
        mixed_batch(policy, images[:1], 0.5, rng=None)
