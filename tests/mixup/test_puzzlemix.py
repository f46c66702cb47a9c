"""PuzzleMix: its energy pixel by pixel, the mixed images, and what any policy promises."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import mixed_batch, mixed_pairs, shape_of
from helpers.no_sync import NoSync
from samix.core.errors import ConfigError
from samix.mixup import ImageInfo, PuzzleMix
from samix.mixup.block_transport import sources_of

AS_THEY_ARE = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def inputs(n, height, width, seed=0):
    noise = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, height, width, generator=noise), torch.rand(
        n, 1, height, width, generator=noise
    ) ** 6


def mixed(policy, images, saliency, lam, seed=0):
    return mixed_batch(policy, images, lam, seed, info=ImageInfo(saliency=saliency))


def energy_of(monkeypatch, policy, pair, saliency, blocks, lam):
    """The energy for both images (2, 3, H, W), with the prior that is drawn for lam."""
    monkeypatch.setattr(PuzzleMix, "_draw_blocks", lambda *_: blocks)
    draws = policy.draw(None, lam, shape_of(pair[0]))
    assert draws.blocks == blocks
    return policy.energy(*pair, saliency, blocks, draws.prior)


def cell(image, i, j, blocks):
    """Pixels (..., h, w) of block (i, j)."""
    height, width = image.shape[-2] // blocks, image.shape[-1] // blocks
    return image[..., i * height : (i + 1) * height, j * width : (j + 1) * width]


def averaged(image, blocks):
    """image (3, H, W), each pixel replaced by the mean over its part of a block: up to 4 x 4 pixels."""
    _, height, width = image.shape
    tall, wide = (max(d for d in (1, 2, 3, 4) if side // blocks % d == 0) for side in (height, width))
    out = np.zeros_like(image)
    for c, y, x in np.ndindex(*image.shape):
        top, left = y // tall * tall, x // wide * wide
        out[c, y, x] = image[c, top : top + tall, left : left + wide].mean()
    return out


def spec_energy(images, saliency, z, lam, labels=3, weights=(1.2, 0.5, 0.2)):
    """images (2, 3, H, W), saliency (2, H, W) of the first and second; z (b, b): the sum of the paper."""
    beta, gamma, eta = weights
    b = len(z)
    beta /= 16 * b
    u = [[[cell(one, i, j, b).mean() for j in range(b)] for i in range(b)] for one in saliency]
    u = [np.array(one) / np.sum(one) for one in u]
    looks = [averaged(image, b) for image in images]
    total = 0.0
    for i, j in np.ndindex(b, b):
        total += (1 - z[i][j]) * u[0][i, j] + z[i][j] * u[1][i, j]
        k = round(z[i][j] * (labels - 1))
        chance = math.comb(labels - 1, k) * lam**k * (1 - lam) ** (labels - 1 - k)
        total -= eta / b**2 * math.log(chance + 1e-8)
        for down, right in ((1, 0), (0, 1)):
            if i + down >= b or j + right >= b:
                continue
            zp, zq = z[i][j], z[i + down][j + right]

            def d(of_p, of_q, i=i, j=j, down=down, right=right):
                p = cell(looks[1 - of_p], i, j, b)  # 1 is the first image
                q = cell(looks[1 - of_q], i + down, j + right, b)
                step = p[:, -1, :] - q[:, 0, :] if down else p[:, :, -1] - q[:, :, 0]
                return np.abs(step).mean()

            step = zp * (d(1, 0) + d(1, 1)) / 2 + (1 - zp) * (d(0, 1) + d(0, 0)) / 2
            step += zq * (d(0, 1) + d(1, 1)) / 2 + (1 - zq) * (d(1, 0) + d(0, 0)) / 2
            step += (zp - zq) ** 2 * (d(1, 0) + d(0, 1) - d(1, 1) - d(0, 0)) / 2
            total += beta * (zp - zq) ** 2 + beta * gamma * step
    return total


@pytest.mark.slow
@pytest.mark.parametrize(("size", "blocks"), [((16, 16), 2), ((16, 24), 4), ((14, 10), 2), ((16, 32), 8)])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_energy_pixel_by_pixel(monkeypatch, size, blocks, lam):
    images, saliency = inputs(2, *size)
    options = {"labels": 3, "weights": (1.2, 0.5, 0.2)} if lam else {"labels": 4, "weights": (2.0, 0.9, 0.1)}
    policy = PuzzleMix(**options, **AS_THEY_ARE)
    energy = energy_of(monkeypatch, policy, images.split(1), saliency.split(1), blocks, lam)
    assert min(weight.min() for weight in energy[1:]) > 0
    kinds = options["labels"]
    for seed in range(5):
        labels = torch.randint(kinds, (1, blocks, blocks), generator=torch.Generator().manual_seed(seed))
        z = (labels[0].double() / (kinds - 1)).tolist()
        want = spec_energy(images.double().numpy(), saliency[:, 0].double().numpy(), z, lam, **options)
        assert energy.of(labels).item() == pytest.approx(want, abs=2e-5)


def test_binary_masks_pay_for_the_seams_they_make(monkeypatch):
    """For labels 0 and 1 the data smoothness is the step that one sees, plus what no mask changes."""
    images, saliency = inputs(2, 8, 8)
    first, second = images.double().numpy()
    seen = {}
    for gamma in (0.0, 1.0):
        policy = PuzzleMix(labels=2, weights=(1.2, gamma, 0.2), **AS_THEY_ARE)
        energy = energy_of(monkeypatch, policy, images.split(1), saliency.split(1), 2, 0.5)
        for number in range(16):
            grid = torch.tensor([number >> bit & 1 for bit in range(4)]).view(1, 2, 2)
            seen[gamma, number] = energy.of(grid).item()
    looks = [averaged(second, 2), averaged(first, 2)]
    rest = []
    for number in range(16):
        z = np.array([number >> bit & 1 for bit in range(4)]).reshape(2, 2)
        whole = np.block(
            [[[cell(looks[z[i, j]], i, j, 2)[c] for j in range(2)] for i in range(2)] for c in range(3)]
        )
        whole = whole.reshape(3, 8, 8)
        steps = [np.abs(whole[:, 3, x] - whole[:, 4, x]).mean(axis=1) for x in (slice(0, 4), slice(4, 8))]
        steps += [np.abs(whole[:, y, 3] - whole[:, y, 4]).mean(axis=1) for y in (slice(0, 4), slice(4, 8))]
        seams = sum(step.mean() for step in steps)
        rest.append(seen[1.0, number] - seen[0.0, number] - 1.2 / 32 * seams)
    np.testing.assert_allclose(rest, rest[0], atol=1e-5)


def per_block(values, blocks):
    """The mean of each block of values (H, W), as (b, b)."""
    return torch.tensor([[cell(values, i, j, blocks).mean() for j in range(blocks)] for i in range(blocks)])


def naively_moved(image, saliency, mask, t, price):
    """image (3, H, W) in which block p is where `sources_of`, which has its own test, sends it."""
    u = per_block(saliency, t)
    sources = sources_of((u / u.sum())[None], per_block(mask, t)[None] > 0, price)[0].tolist()
    parts = [cell(image, *divmod(p, t), t) for p in sources]
    rows = [torch.cat(parts[i * t : (i + 1) * t], dim=2) for i in range(t)]
    return torch.cat(rows, dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["cut", "descent"])
@pytest.mark.parametrize("price", [None, 0.01])
@pytest.mark.parametrize(("size", "t_size", "t"), [((16, 16), -1, 4), ((16, 24), None, 4), ((32, 32), 2, 16)])
def test_values_block_by_block(monkeypatch, solver, price, size, t_size, t):
    monkeypatch.setattr(PuzzleMix, "_draw_blocks", lambda *_: 4)
    images, saliency = inputs(4, *size)
    spots = inputs(4, 4, 4)[1]
    saliency = saliency * torch.nn.functional.interpolate(spots, size)
    policy = PuzzleMix(weights=(0.3, 0.5, 0.02), price=price, t_size=t_size, solver=solver, **AS_THEY_ARE)
    out = mixed(policy, images, saliency, 0.5)
    moved = 0
    for n in range(4):
        mask = out.mask[n, 0]
        assert all(len(cell(mask, i, j, 4).unique()) == 1 for i, j in np.ndindex(4, 4))
        assert set(mask.unique().tolist()) <= {0.0, 0.5, 1.0}
        share = per_block(mask, 4).mean().item()
        assert out.weights[:, n].tolist() == pytest.approx([share, 1 - share], abs=1e-6)
        shown = images[n], images[n - 1]
        if price is not None:
            first = naively_moved(images[n], saliency[n, 0], mask, t, price)
            shown = first, naively_moved(images[n - 1], saliency[n - 1, 0], 1 - mask, t, price)
            moved += not torch.equal(first, images[n])
        torch.testing.assert_close(out.images[n], mask * shown[0] + (1 - mask) * shown[1])
    assert len(out.mask.unique()) == 3
    assert moved > 0 or price is None


def test_the_given_lam_is_a_prior():
    """With flat saliency lam alone decides; a larger lam never lowers the mean share of the first image."""
    images, _ = inputs(3, 16, 16)
    flat = torch.ones(3, 1, 16, 16)
    policy = PuzzleMix(price=None)
    for lam, want in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        assert mixed(policy, images, flat, lam).weights[0].tolist() == [want] * 3
    images, saliency = inputs(20, 16, 16)
    shares = [mixed(policy, images, saliency, lam, seed=4).weights[0].mean() for lam in (0.1, 0.4, 0.6, 0.9)]
    assert shares == sorted(shares) and shares[0] < shares[-1]


def test_the_salient_part_of_either_image_stays():
    images, saliency = torch.rand(2, 3, 16, 16), torch.full((2, 1, 16, 16), 1e-4)
    saliency[0, :, :8], saliency[1, :, 8:] = 1, 1
    mask = mixed(PuzzleMix(levels=3, price=None), images, saliency, 0.5).mask
    assert mask[0, 0, :8].eq(1).all() and mask[0, 0, 8:].eq(0).all() and torch.equal(mask[1], 1 - mask[0])


def test_gradients_of_any_size():
    images, saliency = inputs(3, 16, 16)
    wanted = mixed(PuzzleMix(), images, saliency, 0.4)
    for scale in (1e-8, 1e5):
        torch.testing.assert_close(mixed(PuzzleMix(), images, saliency * scale, 0.4).weights, wanted.weights)
    assert mixed(PuzzleMix(), images, saliency * 0, 0.4).images.isfinite().all()


@pytest.mark.parametrize(
    ("size", "levels", "grids"),
    [
        ((32, 32), None, {2, 4, 8, 16}),
        ((64, 64), None, {2, 4, 8, 16}),
        ((224, 224), None, {2, 4, 8}),
        ((28, 28), None, {2, 4}),
        ((32, 32), 3, {2, 4}),
        ((12, 40), None, {2, 4}),
    ],
)
def test_grids(size, levels, grids):
    policy, rng = PuzzleMix(levels), np.random.default_rng(0)
    assert {policy._draw_blocks(*size, rng) for _ in range(60)} == grids


@pytest.mark.parametrize(
    ("size", "t_size", "blocks", "moved"),
    [
        ((32, 32), None, 2, 8),  # 4 pixels
        ((32, 32), None, 16, 16),  # blocks of the mask are smaller
        ((32, 32), -1, 4, 4),
        ((224, 224), None, 4, 4),
        ((224, 224), 4, 8, 56),
        ((28, 28), 4, 4, 4),  # 7 do not divide 4
        ((32, 48), 4, 4, 8),
    ],
)
def test_blocks_that_move(size, t_size, blocks, moved):
    assert PuzzleMix(t_size=t_size)._transport_blocks(*size, blocks) == moved


def test_images_are_compared_as_they_were(monkeypatch):
    images, saliency = inputs(4, 16, 16)
    mean, std = (0.4, 0.5, 0.6), (0.1, 0.25, 0.4)
    normalised = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    pairs = [(PuzzleMix(**AS_THEY_ARE), images), (PuzzleMix(mean=mean, std=std), normalised)]
    known = (saliency, saliency.roll(1, 0))
    one, two = (energy_of(monkeypatch, policy, (x, x.roll(1, 0)), known, 4, 0.5) for policy, x in pairs)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["cut", "descent"])
@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(2, 4),
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    seed=st.integers(0, 1000),
)
def test_lam_is_the_share_of_the_mask(solver, n, sides, lam, seed):
    images, saliency = inputs(n, 2 * sides[0], 2 * sides[1], seed)
    before = images.clone(), saliency.clone()
    out, again = (mixed(PuzzleMix(solver=solver), images, saliency, lam, seed) for _ in range(2))
    assert torch.equal(images, before[0]) and torch.equal(saliency, before[1])
    assert torch.equal(out.images, again.images)
    assert out.images.shape == images.shape and out.mask.shape == (n, 1, *images.shape[2:])
    torch.testing.assert_close(out.weights[0], out.mask.mean((1, 2, 3)))
    assert torch.equal(out.weights[1], 1 - out.weights[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(dtype):
    images, saliency = inputs(3, 16, 16)
    out = mixed(PuzzleMix(), images.to(dtype), saliency, 0.4)
    assert out.images.dtype == dtype and out.mask.dtype == out.weights.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [2, 4, 8])
def test_the_descent_waits_for_nothing(monkeypatch, blocks):
    monkeypatch.setattr(PuzzleMix, "_draw_blocks", lambda *_: blocks)
    images, saliency = inputs(3, 16, 16)
    with NoSync():
        mixed(PuzzleMix(solver="descent"), images, saliency, 0.4)
    out = mixed(PuzzleMix(solver="descent"), images.to("meta"), saliency.to("meta"), 0.4)
    assert out.images.device.type == out.weights.device.type == "meta"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0.5, 0.5, 0.5)}, "mean and std"),
        ({"levels": 1}, "levels 1"),
        ({"labels": 1}, "labels 1"),
        ({"weights": (1.2, 1.5, 0.2)}, "weights"),
        ({"weights": (-1.2, 0.5, 0.2)}, "weights"),
        ({"solver": "swap"}, "cut or descent"),
        ({"t_size": 0}, "t_size 0"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(ConfigError, match=message):
        PuzzleMix(**options)


def test_what_it_cannot_mix():
    images = torch.rand(2, 3, 15, 16)
    with pytest.raises(ConfigError, match="15 x 16 pixels"):
        mixed(PuzzleMix(), images, torch.rand(2, 1, 15, 16), 0.5)
    with pytest.raises(ValueError, match="saliency of both"):
        mixed_pairs(PuzzleMix(), images[..., :14, :], images[..., :14, :], 0.5)
