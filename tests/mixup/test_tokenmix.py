"""TokenMix's masks by their counts and shapes, its labels patch by patch, and its teacher."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from helpers.mixing import lam_of, mixed_batch, mixed_pairs
from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.core.weights import save_weights
from samix.mixup import ImageInfo, PairInfo, TokenMix
from samix.mixup.policies.tokenmix import _add_rectangle
from samix.nn import build_backbone

GRID = (6, 5)
BACKBONE = BackboneConfig(channels=(4, 4, 6, 8))


def maps_of(field, grid=GRID, n=3):
    maps = torch.rand(2, n, 1, *grid, generator=torch.Generator().manual_seed(2)) / 40
    return PairInfo(*(ImageInfo(**{field: one}) for one in maps))


def run(policy, lam, given, patch=4, grid=GRID, seed=0, n=3):
    """The backbone's grid is that of the maps, whatever the option patch of the policy."""
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, n, 3, grid[0] * patch, grid[1] * patch, generator=generator)
    mixed = mixed_pairs(policy, first, second, lam, seed, info=given, grid=grid)
    assert torch.equal(mixed.images, torch.where(mixed.mask.bool(), first, second))
    return mixed


def taken_of(mixed, patch=4):
    """Patches of the second image, the same of all samples and nothing but whole ones."""
    taken = 1 - mixed.mask[0, 0, ::patch, ::patch]
    whole = taken.repeat_interleave(patch, 0).repeat_interleave(patch, 1)
    assert torch.equal(1 - mixed.mask, whole.expand_as(mixed.mask))
    return taken.bool()


def wanted(lam, total):
    return min(int((1 - lam) * total) + -(-total // 14), total)


@pytest.mark.parametrize("lam", [0.0, 0.03, 0.5, 0.81, 1.0])
@pytest.mark.parametrize("grid", [(14, 14), (8, 8), (2, 2), (3, 7), (1, 1)])
def test_random_patches_are_counted(grid, lam):
    total = grid[0] * grid[1]
    mixed = run(TokenMix("random", "area", patch=4), lam, PairInfo(), grid=grid)
    assert int(taken_of(mixed).sum()) == wanted(lam, total)
    assert lam_of(mixed) == pytest.approx(1 - wanted(lam, total) / total)


def test_counts_of_the_paper():
    """14 more than the share, of 196."""
    assert [wanted(lam, 196) for lam in (1.0, 0.5, 0.05, 0.0)] == [14, 112, 196, 196]


def test_random_patches_are_all_alike():
    seen = Counter()
    for seed in range(500):
        mixed = run(TokenMix("random", "area", patch=4), 0.75, PairInfo(), grid=(4, 4), seed=seed)
        seen.update(taken_of(mixed).flatten().nonzero().flatten().tolist())
    counts = np.array([seen[place] for place in range(16)])
    assert counts.sum() == 500 * 6 and abs(counts - 187.5).max() < 5 * math.sqrt(187.5)


def borders(taken):
    return int(taken.int().diff(dim=0).abs().sum() + taken.int().diff(dim=1).abs().sum())


@pytest.mark.parametrize("lam", [0.2, 0.5, 0.9])
def test_blocks(lam):
    """As many patches as requested or a few less; in far fewer pieces than single ones would be."""
    found, pieces, single = [], 0, 0
    for seed in range(60):
        taken = taken_of(run(TokenMix(label="area", patch=1), lam, PairInfo(), 1, (14, 14), seed), 1)
        found.append(int(taken.sum()))
        pieces += borders(taken)
        single += borders(taken_of(run(TokenMix("random", "area", 1), lam, PairInfo(), 1, (14, 14), seed), 1))
    assert min(found) > 0 and max(found) == wanted(lam, 196)
    assert np.mean(found) > 0.95 * wanted(lam, 196)
    assert pieces < 0.7 * single


@pytest.mark.parametrize(("grid", "left"), [((14, 14), 100), ((8, 8), 3), ((2, 2), 4), ((5, 9), 12)])
def test_one_rectangle(grid, left):
    """Shorter than the grid in both directions, not more patches than are left, aspect at most 1 / 0.3."""
    shapes, rng = set(), np.random.default_rng(0)
    for _ in range(500):
        taken = np.zeros(grid, dtype=bool)
        if not _add_rectangle(taken, left, rng):
            assert not taken.any()
            continue
        rows, columns = np.flatnonzero(taken.any(1)), np.flatnonzero(taken.any(0))
        shape = (np.ptp(rows) + 1, np.ptp(columns) + 1)
        assert taken.sum() == math.prod(shape) <= left
        assert shape[0] < grid[0] and shape[1] < grid[1]
        # sides are rounded: each was up to half a patch shorter or longer
        assert max(shape) - 0.5 <= (min(shape) + 0.5) / 0.3
        shapes.add(shape)
    assert len(shapes) > 1 or grid == (2, 2)
    if grid == (14, 14):
        areas = [math.prod(shape) for shape in shapes]
        assert min(areas) < 10 and max(areas) > 80


def test_a_rectangle_adds_something_and_not_too_much():
    rng, fitted = np.random.default_rng(0), 0
    for _ in range(300):
        taken = rng.random((7, 7)) < 0.7
        before = taken.copy()
        if _add_rectangle(taken, 4, rng):
            fitted += 1
            assert (taken >= before).all() and 0 < taken.sum() - before.sum() <= 4
        else:
            assert (taken == before).all()
    assert fitted > 30
    assert not any(_add_rectangle(np.ones((7, 7), dtype=bool), 4, rng) for _ in range(20))


def shares(mixed, maps, lowest):
    """By loops in float64: the part of each parent's map that remains."""
    taken, kept = taken_of(mixed), []
    for parent, own in enumerate((False, True)):
        for one in maps[parent][:, 0].double():
            total = sum((one[place] - lowest(one)).item() for place in np.ndindex(*GRID))
            inside = sum(
                (one[place] - lowest(one)).item() for place in np.ndindex(*GRID) if taken[place] == own
            )
            kept.append(inside / total)
    return kept


@pytest.mark.parametrize("mask", ["block", "random"])
@pytest.mark.parametrize("label", ["attention", "teacher"])
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_labels_patch_by_patch(label, mask, lam):
    """Class activation maps may be negative and count from their lowest value on."""
    field = {"attention": "attention", "teacher": "cam"}[label]
    given = maps_of(field)
    if label == "teacher":
        given = PairInfo(*(ImageInfo(cam=seen.cam - 0.3) for seen in given))
    mixed = run(TokenMix(mask, label, patch=4), lam, given)
    lowest = (lambda one: 0) if label == "attention" else torch.min
    want = shares(mixed, [getattr(seen, field) for seen in given], lowest)
    assert mixed.weights.flatten().tolist() == pytest.approx(want, abs=1e-5)
    whole = run(TokenMix(mask, label, 4, normalise_weights=True), lam, given)
    assert torch.equal(whole.mask, mixed.mask)
    normal = [want[n] / (want[n] + want[n + 3]) for n in range(3)]
    normal += [1 - share for share in normal]
    assert whole.weights.flatten().tolist() == pytest.approx(normal, abs=1e-5)


def test_orientation():
    """A map that lies in the patches that are kept counts whole, one in the others not at all."""
    plain = maps_of("attention")
    kept = (~taken_of(run(TokenMix(), 0.5, plain))).float().expand(3, 1, *GRID)
    mixed = run(TokenMix(), 0.5, PairInfo(ImageInfo(attention=kept), ImageInfo(attention=kept)))
    torch.testing.assert_close(mixed.weights, torch.tensor([[1.0] * 3, [0.0] * 3]), atol=1e-6, rtol=0)


def test_the_grid_is_the_backbones():
    """Patches of 4 pixels here, whatever the option says; without a backbone the option counts."""
    given = maps_of("attention")
    mixed = run(TokenMix(patch=16), 0.5, given)
    assert taken_of(mixed).any()
    first, second = torch.rand(2, 3, 3, 24, 20, generator=torch.Generator().manual_seed(1))
    alone = mixed_pairs(TokenMix(patch=4), first, second, 0.5, info=given)
    assert torch.equal(alone.images, mixed.images) and torch.equal(alone.weights, mixed.weights)
    with pytest.raises(ConfigError, match="patches of 16 pixels do not divide"):
        mixed_pairs(TokenMix(patch=16), first, second, 0.5, info=given)


def test_smaller_class_maps_are_resized():
    """Bilinearly: between two centres, three quarters of the nearer value and a quarter of the other."""
    line = torch.tensor([[0.2, 0.8]])
    wide = torch.tensor([[0.2, 0.35, 0.65, 0.8]])
    cams = [ImageInfo(cam=one.expand(3, 1, 1, 2)) for one in (line, line.flip(1))]
    full = [ImageInfo(cam=one.expand(3, 1, 1, 4)) for one in (wide, wide.flip(1))]
    policy = TokenMix("random", "teacher", 4)
    small = run(policy, 0.5, PairInfo(*cams), grid=(1, 4))
    large = run(policy, 0.5, PairInfo(*full), grid=(1, 4))
    torch.testing.assert_close(small.weights, large.weights)


MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.4]


def described(config):
    return {"kind": "backbone", "backbone": config.model_dump(mode="json"), "mean": MEAN, "std": STD}


@pytest.fixture
def teacher(tmp_path):
    """A file of the supervised training, and its parts."""
    torch.manual_seed(0)
    backbone, head = build_backbone(BACKBONE).eval(), torch.nn.Linear(8, 5)
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    state |= {"heads.plain.weight": head.weight, "heads.plain.bias": head.bias}
    about = described(BACKBONE)
    return save_weights(tmp_path / "net.safetensors", state, about).path, backbone, head


def test_the_teachers_class_maps(teacher):
    path, backbone, head = teacher
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([4, 0, 2, 2])
    policy = TokenMix("random", "teacher", 8, weights=str(path)).train()
    assert policy.requires == {"labels"}
    seen = policy.info_from(images, ImageInfo(labels=labels))
    with torch.no_grad():
        maps = backbone.net.forward_features(images).double()
    assert seen.cam.shape == (4, 1, *maps.shape[2:]) and not seen.cam.requires_grad
    for n, y, x in np.ndindex(4, *maps.shape[2:]):
        relued = [max(value, 0) for value in maps[n, :, y, x].tolist()]
        weights = head.weight[labels[n]].tolist()
        want = sum(w * h for w, h in zip(weights, relued, strict=True)) + head.bias[labels[n]].item()
        assert seen.cam[n, 0, y, x].item() == pytest.approx(want, abs=1e-4)
    mixed = mixed_batch(policy, images, 0.5, info=ImageInfo(labels=labels))
    told = TokenMix("random", "teacher", 8)
    again = mixed_batch(told, images, 0.5, info=seen)
    assert told.requires == {"cam"}
    assert mixed.index.tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]]
    assert torch.equal(mixed.weights, again.weights)
    assert not any(p.requires_grad for p in policy.parameters()) and not policy.teacher.training


def test_the_teacher_sees_images_as_it_knows_them(teacher):
    path, _, _ = teacher
    pixels, labels = torch.rand(2, 3, 16, 16), ImageInfo(labels=torch.tensor([1, 3]))
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, STD))
    known = TokenMix(label="teacher", weights=str(path)).info_from((pixels - mean) / std, labels)
    told = TokenMix(label="teacher", weights=str(path), mean=(0.5, 0.5, 0.5), std=(0.3, 0.2, 0.1))
    other = (pixels - 0.5) / torch.tensor([0.3, 0.2, 0.1]).view(3, 1, 1)
    torch.testing.assert_close(told.info_from(other, labels).cam, known.cam, atol=1e-4, rtol=1e-4)


def test_a_transformer_is_no_teacher(teacher, tmp_path):
    config = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
    backbone, head = build_backbone(config), torch.nn.Linear(64, 5)
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    state |= {"heads.plain.weight": head.weight, "heads.plain.bias": head.bias}
    about = described(config)
    path = save_weights(tmp_path / "vit.safetensors", state, about).path
    policy = TokenMix(label="teacher", weights=str(path))
    with pytest.raises(ConfigError, match="convolutional"):
        policy.info_from(torch.randn(2, 3, 32, 32), ImageInfo(labels=torch.tensor([0, 1])))


def test_what_is_needed():
    assert TokenMix().requires == {"attention"}
    assert TokenMix(label="area").requires == frozenset()
    assert TokenMix(label="teacher").requires == {"cam"}
    assert TokenMix().choose_partners(ImageInfo(), 4, torch.device("cpu")).tolist() == [3, 2, 1, 0]


def test_errors(teacher, tmp_path):
    path, backbone, _ = teacher
    with pytest.raises(ConfigError, match="set it to teacher"):
        TokenMix(weights=str(path))
    with pytest.raises(ConfigError, match="mean and std"):
        TokenMix(mean=(0.5, 0.5, 0.5))
    with pytest.raises(ConfigError, match="patch 0"):
        TokenMix(patch=0)
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    about = described(BACKBONE)
    encoder = save_weights(tmp_path / "encoder.safetensors", state, about).path
    with pytest.raises(ConfigError, match="no classifier"):
        TokenMix(label="teacher", weights=str(encoder))
    with pytest.raises(ValueError, match="labels"):
        TokenMix(label="teacher", weights=str(path)).info_from(torch.rand(2, 3, 8, 8), ImageInfo())
    for policy, message in (
        (TokenMix(), "attention"),
        (TokenMix(label="teacher", patch=4), "class activation"),
    ):
        with pytest.raises(ValueError, match=message):
            run(policy, 0.5, PairInfo())
    with pytest.raises(ConfigError, match="patches of 16 pixels do not divide"):
        run(TokenMix(label="area"), 0.5, PairInfo())
