"""MixPro's cells one by one, and its labels against float64."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from helpers.mixing import float32, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import ImageInfo, MixPro, ModelOutputs, PairInfo

LABELS = torch.tensor([0, 3, 2, 1]), torch.tensor([1, 0, 2, 4])


def run(policy, lam, grid=(14, 14), patch=2, seed=0):
    generator = torch.Generator().manual_seed(1)
    n = len(LABELS[0])
    first, second = torch.rand(2, n, 3, grid[0] * patch, grid[1] * patch, generator=generator)
    attention = torch.rand(2, n, 1, *grid, generator=generator) / 200
    pairs = zip(LABELS, attention, strict=True)
    info = PairInfo(*(ImageInfo(labels=labels, attention=maps) for labels, maps in pairs))
    mixed = mixed_pairs(policy, first, second, lam, seed, info=info, grid=grid)
    assert not mixed.final
    return mixed, first, second, attention[0]


def edges(size, cells):
    """Where the cells of one axis begin, in patches."""
    return range(0, size, math.ceil(size / cells))


@pytest.mark.parametrize("lam", [0.0, 0.1, 0.5, 0.93, 1.0])
@pytest.mark.parametrize(
    ("grid", "cells"), [((14, 14), 4), ((8, 8), 4), ((2, 2), 4), ((7, 12), 3), ((5, 3), 1)]
)
def test_cells(grid, cells, lam):
    mixed, first, second, _ = run(MixPro(cells), lam, grid)
    assert torch.equal(mixed.images, torch.where(mixed.mask.bool(), first, second))
    tops, lefts = (edges(size, cells) for size in grid)
    high, wide = (2 * math.ceil(size / cells) for size in grid)
    total = len(tops) * len(lefts)
    for mask in mixed.mask[:, 0]:
        count = 0
        for top in tops:
            for left in lefts:
                cell = mask[2 * top : 2 * top + high, 2 * left : 2 * left + wide]
                assert cell.min() == cell.max()
                count += int(cell[0, 0])
        assert count == math.ceil(total * lam)
    share = math.ceil(total * lam) / total
    assert mixed.weights.tolist() == [[float32(share)] * 4, [float32(1 - share)] * 4]


def test_cells_of_the_paper():
    """64 pixels each of 224 in patches of 16, the last of a row 32."""
    mixed, _, _, _ = run(MixPro(), 0.5, (14, 14), 16)
    borders = (mixed.mask[:, 0].diff(dim=2).abs().sum((0, 1)) > 0).nonzero().flatten() + 1
    assert borders.tolist() == [64, 128, 192]


def test_cells_are_drawn_for_each_sample_and_all_are_alike():
    seen, different = Counter(), False
    for seed in range(400):
        cells = run(MixPro(), 0.25, (4, 4), 1, seed)[0].mask[:, 0].reshape(4, 16)
        different |= not torch.equal(cells[0], cells[1])
        seen.update(torch.nonzero(cells)[:, 1].tolist())
    assert different
    counts = np.array([seen[cell] for cell in range(16)])
    assert counts.sum() == 400 * 4 * 4
    assert abs(counts - 400).max() < 5 * math.sqrt(400)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_labels_against_loops(smoothing, lam):
    policy = MixPro(smoothing=smoothing)
    mixed, _, _, attention = run(policy, lam)
    logits = 2 * torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    found, share = policy.reweight(mixed, ModelOutputs(logits=logits)), math.ceil(16 * lam) / 16
    for n in range(4):
        kept = total = 0.0
        for row, column in np.ndindex(14, 14):
            value = attention[n, 0, row, column].item()
            total += value
            kept += value * mixed.mask[n, 0, 2 * row, 2 * column].item()
        powers = [math.exp(value) for value in logits[n].tolist()]
        prediction = np.array(powers) / sum(powers)
        target = np.zeros(5)
        for label, weight in ((LABELS[0][n], share), (LABELS[1][n], 1 - share)):
            for c in range(5):
                on = 1 - smoothing + smoothing / 5 if c == label else smoothing / 5
                target[c] += weight * on
        cosine = prediction @ target / math.sqrt((prediction @ prediction) * (target @ target))
        want = cosine * kept / total + (1 - cosine) * share
        assert found[:, n].tolist() == pytest.approx([want, 1 - want], abs=1e-5)


def test_a_perfect_prediction_believes_attention_and_a_wrong_one_the_area():
    policy = MixPro(smoothing=0.0)
    mixed, _, _, attention = run(policy, 0.5)
    looked = (mixed.mask[:, :, ::2, ::2] * attention).sum((1, 2, 3)) / attention.sum((1, 2, 3))
    assert (looked - 0.5).abs().min() > 1e-4
    one_hot = torch.eye(5)
    perfect = (0.5 * one_hot[LABELS[0]] + 0.5 * one_hot[LABELS[1]]).clamp(min=1e-30).log()
    torch.testing.assert_close(policy.reweight(mixed, ModelOutputs(logits=perfect))[0], looked)
    neither = torch.tensor([2, 1, 0, 0])  # of each sample's labels
    wrong = 100 * one_hot[neither]
    torch.testing.assert_close(policy.reweight(mixed, ModelOutputs(logits=wrong)), torch.full((2, 4), 0.5))


def test_errors():
    first = second = torch.rand(2, 3, 8, 8)
    labels = ImageInfo(labels=torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="MixPro requires the labels"):
        mixed_pairs(MixPro(), first, second, 0.5, grid=(2, 2))
    with pytest.raises(ValueError, match="MixPro requires the attention"):
        mixed_pairs(MixPro(), first, second, 0.5, grid=(2, 2), info=PairInfo(labels, labels))
    with pytest.raises(ValueError, match="MixPro requires the logits"):
        MixPro().reweight(run(MixPro(), 0.5)[0], ModelOutputs())
    with pytest.raises(ConfigError, match="cells"):
        MixPro(0)
    with pytest.raises(ConfigError, match="smoothing"):
        MixPro(smoothing=1.5)
