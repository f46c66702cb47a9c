"""TLA's labels against whole label matrices in float64, class by class."""

import numpy as np
import pytest
import torch

from helpers.mixing import mixed_pairs, reweighted
from samix.core.errors import ConfigError
from samix.mixup import TLA, ImageInfo, ModelOutputs

CLASSES = 4


def run(lam, size=(32, 48), patch=8, seed=0, n=3):
    first, second = torch.rand(2, n, 3, *size, generator=torch.Generator().manual_seed(1))
    return mixed_pairs(TLA(patch), first, second, lam, seed), first, second


def attentions(blocks, tokens, n=3):
    scores = 3 * torch.randn(blocks, n, tokens, tokens, generator=torch.Generator().manual_seed(2))
    return tuple(scores.softmax(3))


def outcome(grid, blocks=3, prefix=1):
    rows = attentions(blocks, prefix + grid[0] * grid[1])
    return ModelOutputs(None, torch.rand(3, 1, *grid), rows)


def smoothed(label, eps):
    target = np.full(CLASSES, eps / CLASSES)
    target[label] += 1 - eps
    return target


def label_of_the_class_token(mixed, n, pair, rows, grid, eps, prefix):
    """All tokens' labels through all blocks, (tokens, classes)."""
    step = mixed.mask.shape[2] // grid[0], mixed.mask.shape[3] // grid[1]
    lam, rest = mixed.weights[:, n].tolist()
    both = lam * smoothed(pair[0], eps) + rest * smoothed(pair[1], eps)
    labels = [both] * prefix
    for row, column in np.ndindex(*grid):
        of_first = mixed.mask[n, 0, row * step[0], column * step[1]].item()
        labels.append(smoothed(pair[0] if of_first else pair[1], eps))
    labels = np.stack(labels)
    for block in rows:
        attention = block[n].double().numpy()
        moved = np.zeros_like(labels)
        for query, key in np.ndindex(*attention.shape):
            moved[query] += attention[query, key] * labels[key]
        labels = (labels + moved) / 2
    return labels[0]


@pytest.mark.parametrize("eps", [0.0, 0.1])
@pytest.mark.parametrize(("blocks", "prefix"), [(1, 1), (4, 1), (3, 2)])
def test_labels_against_whole_matrices(eps, blocks, prefix):
    """Smoothed before the blocks, as published: the same target as smoothed after them, as the losses do."""
    grid, moved = (4, 6), 0.0
    seen = outcome(grid, blocks, prefix)
    for seed in range(3):
        mixed, _, _ = run(0.5, seed=seed)
        weights = TLA(8).reweight(mixed, seen)
        assert weights.shape == (2, 3) and not mixed.final
        for n, pair in enumerate([(0, 1), (3, 2), (2, 2)]):
            want = label_of_the_class_token(mixed, n, pair, seen.attentions, grid, eps, prefix)
            share, rest = weights[:, n].tolist()
            got = share * smoothed(pair[0], eps) + rest * smoothed(pair[1], eps)
            np.testing.assert_allclose(got, want, atol=1e-6)
            moved = max(moved, abs(share - mixed.weights[0, n].item()))
    assert moved > 0.01


@pytest.mark.parametrize(("size", "patch"), [((32, 32), 4), ((32, 32), 8), ((56, 24), 8), ((224, 224), 16)])
def test_box_of_whole_patches(size, patch):
    grid, shares = (size[0] // patch, size[1] // patch), set()
    for seed in range(8):
        mixed, first, second = run(0.3, size, patch, seed)
        patches = mixed.mask[0, 0].reshape(grid[0], patch, grid[1], patch)
        assert torch.equal(patches, patches[:, :1, :, :1].expand_as(patches))
        taken = int((patches[:, 0, :, 0] == 0).sum())
        share = 1 - taken / (grid[0] * grid[1])
        assert mixed.weights.tolist() == [pytest.approx([each] * 3) for each in (share, 1 - share)]
        assert torch.equal(mixed.images, torch.where(mixed.mask.bool(), first, second))
        rows, columns = (np.flatnonzero((patches[:, 0, :, 0] == 0).any(axis)) for axis in (1, 0))
        assert taken == len(rows) * len(columns)  # one box
        shares.add(share)
    assert len(shares) > 1


def test_box_is_cutmix_in_patches():
    """sqrt(1 - 0.36) = 0.8 of 10 x 5 patches: 4 rows and 2 columns to either side of a patch, clipped."""
    for seed in range(20):
        mixed, _, _ = run(0.36, (40, 20), 4, seed)
        box = mixed.mask[0, 0, ::4, ::4] == 0
        rng = np.random.default_rng(seed)
        row, column = int(rng.integers(10)), int(rng.integers(5))
        want = torch.zeros(10, 5, dtype=torch.bool)
        want[max(0, row - 4) : row + 4, max(0, column - 2) : column + 2] = True
        assert torch.equal(box, want)


@pytest.mark.parametrize("lam", [1.0])
def test_lam_one_stays_one(lam):
    mixed, first, _ = run(lam)
    assert torch.equal(mixed.images, first)
    final = reweighted(TLA(8), mixed, outcome((4, 6)))
    torch.testing.assert_close(final.weights, torch.tensor([[1.0] * 3, [0.0] * 3]))


def test_attention_that_stays_put():
    """Tokens that look only at themselves keep their labels: the class token that of the area."""
    mixed, _, _ = run(0.5)
    eye = torch.eye(25).expand(3, 25, 25)
    weights = TLA(8).reweight(mixed, ModelOutputs(None, torch.rand(3, 1, 4, 6), (eye, eye)))
    torch.testing.assert_close(weights, mixed.weights)


def test_partner_is_the_batch_in_reverse():
    assert TLA().choose_partners(ImageInfo(), 4, torch.device("cpu")).tolist() == [3, 2, 1, 0]


def test_errors():
    with pytest.raises(ConfigError, match="TLA: patch 0"):
        TLA(0)
    with pytest.raises(ConfigError, match="TLA: patches of 7 pixels"):
        run(0.5, patch=7)
    mixed, _, _ = run(0.5)
    with pytest.raises(ValueError, match="TLA requires the attention of every block"):
        TLA(8).reweight(mixed, ModelOutputs(attention=torch.rand(3, 1, 4, 6)))
    with pytest.raises(ConfigError, match="has 8 x 12 patches, and the option patch makes 4 x 6"):
        TLA(8).reweight(mixed, outcome((8, 12)))
