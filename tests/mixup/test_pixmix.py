"""PixMix against its draws written out image by image in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers.mixing import lam_of, mixed_pairs
from samix.core.errors import ConfigError, DataError
from samix.mixup.operations import PLAIN, Operations, apply
from samix.mixup.policies.pixmix import Pictures, PixMix, blend_pictures

UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def mixed(policy, images, seed=0):
    return mixed_pairs(policy, images, images.flip(0), 0.3, seed)


def batch(n=4, size=(8, 8), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (n, 3, *size), generator=generator).float() / 255


@pytest.fixture
def folder(tmp_path):
    """Three pictures of one colour each, at different depths, and a file that is none."""
    for i, name in enumerate(["a.png", "below/b.JPG", "below/further/c.bmp"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + 7 * i, 11), (60 * i + 30,) * 3).save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("no picture")
    return tmp_path


def mix_one(first, second, a, b, add):
    """The paper's utils.py, `add` and `multiply`, for one value."""
    if add:
        return (a * (2 * first - 1) + b * (2 * second - 1) + 1) / 2
    return (2 * first) ** a * max(2 * second, 1e-37) ** b / 2


def by_hand(images, pictures, rounds, beta, severity, seed):
    """pictures: a function of a generator that returns bytes (N, 3, H, W), or None."""
    n, draw = len(images), np.random.default_rng(seed)
    plain = (images * 255).round().to(torch.uint8)
    shown = None if pictures is None else pictures(draw).double() / 255

    def either(instead):
        chosen = np.array(PLAIN)[draw.integers(len(PLAIN), size=n)]
        operations = Operations(chosen, draw.uniform(0.1, severity, n), draw.choice([-1.0, 1.0], n))
        changed = apply(plain, operations) / 255.0
        coins = draw.random(n)
        return [changed[i].double() if instead is None or coins[i] < 0.5 else instead[i] for i in range(n)]

    out = either(images.double())
    counts = draw.integers(0, rounds + 1, n)
    for done in range(rounds):
        others = either(shown)
        big, small = draw.beta(beta, 1, n), draw.beta(1, beta, (2, n))
        apart, added = draw.random(n) < 0.5, draw.random(n) < 0.5
        for i in range(n):
            if done >= counts[i]:
                continue
            a, b = (big[i], small[1][i]) if apart[i] else (1 + small[0][i], -small[1][i])
            pairs = zip(out[i].flatten().tolist(), others[i].flatten().tolist(), strict=True)
            values = [min(1.0, max(0.0, mix_one(x, y, a, b, added[i]))) for x, y in pairs]
            out[i] = torch.tensor(values, dtype=torch.float64).view(images.shape[1:])
    return torch.stack(out)


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize(("rounds", "beta"), [(4, 3.0), (1, 0.7), (0, 3.0)])
def test_image_by_image(folder, shown, rounds, beta):
    images = batch(6)
    before = images.clone()
    own = Pictures(folder)
    pictures = (lambda draw: own.draw(6, (8, 8), draw)) if shown else None
    policy = PixMix(**UNIT, pictures=str(folder) if shown else None, rounds=rounds, beta=beta, severity=2.0)
    out = mixed(policy, images, seed=3)
    want = by_hand(images, pictures, rounds, beta, 2.0, 3)
    torch.testing.assert_close(out.images.double(), want, atol=2e-5, rtol=0)
    assert torch.equal(images, before) and lam_of(out) == 1


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize(("a", "b"), [(0.9, 0.2), (1.3, -0.4)])
def test_blending(add, a, b):
    first, second = torch.tensor([0.0, 0.2, 1.0]), torch.tensor([0.0, 0.7, 1.0])
    pairs = [(x, y) for x in first.tolist() for y in second.tolist()]
    x, y = (torch.tensor(side).view(1, 1, 3, 3) for side in zip(*pairs, strict=True))
    got = blend_pictures(x, y, np.array([a]), np.array([b]), np.array([add]))
    want = [mix_one(*pair, a, b, add) for pair in pairs]
    torch.testing.assert_close(got.flatten(), torch.tensor(want), rtol=1e-4, atol=1e-6)
    assert got.isfinite().all()


def test_pictures(folder):
    pictures = Pictures(folder)
    assert [file.name for file in pictures.files] == ["a.png", "b.JPG", "c.bmp"]
    found = pictures.draw(60, (8, 6), np.random.default_rng(0))
    assert found.shape == (60, 3, 8, 6) and found.dtype == torch.uint8
    assert {int(one[0, 0, 0]) for one in found} == {30, 90, 150}
    assert all(picture.shape[1] == 9 and picture.shape[2] >= 9 for picture in pictures._kept.values())


def test_pictures_are_cut_anywhere(tmp_path):
    Image.fromarray(np.arange(9 * 9, dtype=np.uint8).reshape(9, 9)).save(tmp_path / "one.png")
    found = Pictures(tmp_path).draw(40, (8, 8), np.random.default_rng(0))
    assert {int(one[0, 0, 0]) for one in found} == {0, 1, 9, 10}


def test_folders_without_pictures(tmp_path):
    with pytest.raises(DataError, match=r"no pictures below .*set policy\.options\.pictures"):
        PixMix(pictures=str(tmp_path))
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(DataError, match=r"cannot read the picture .*bad\.png"):
        mixed(PixMix(pictures=str(tmp_path)), batch())


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 5), h=st.integers(1, 20), w=st.integers(1, 20), seed=st.integers(0, 1000))
def test_any_size(n, h, w, seed):
    images = batch(n, (h, w), seed)
    out = mixed(PixMix(**UNIT, all_operations=True), images, seed).images
    assert out.shape == images.shape and out.min() >= 0 and out.max() <= 1
    normalised = mixed(PixMix((0.5,) * 3, (0.2,) * 3, all_operations=True), (images - 0.5) / 0.2, seed).images
    torch.testing.assert_close(normalised * 0.2 + 0.5, out, atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_keep_their_type(dtype):
    assert mixed(PixMix(), batch().to(dtype)).images.dtype == dtype


def test_seeds_decide():
    images = batch()
    one, two, other = (mixed(PixMix(), images, seed).images for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize(
    "options", [{"rounds": -1}, {"beta": 0.0}, {"severity": 0.0}, {"mean": (0.5, 0.5, 0.5)}]
)
def test_refused_options(options):
    with pytest.raises(ConfigError, match="PixMix: (rounds|severity|mean and std)"):
        PixMix(**options)
