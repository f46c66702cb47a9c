"""MixPro's cells one by one, and its labels against float64."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from samix.core.errors import ConfigError
from samix.mixup import PairInfo, MixPro, ModelOutputs, ImageInfo

LABELS = torch.tensor([0, 3, 2, 1]), torch.tensor([1, 0, 2, 4])


def run(policy, lam, grid=(14, 14), patch=2, seed=0):
    generator = torch.Generator().manual_seed(1)
    n = len(LABELS[0])
    first, second = torch.rand(2, n, 3, grid[0] * patch, grid[1] * patch, generator=generator)
    attention = torch.rand(2, n, 1, *grid, generator=generator) / 200
    guides = PairInfo(*(ImageInfo(labels=own, attention=seen) for own, seen in zip(LABELS, attention, strict=True)))
    mixed = policy(first, second, lam, generator=np.random.default_rng(seed), guides=guides)
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
    assert mixed.lam == math.ceil(total * lam) / total


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
    mixed, _, _, attention = run(MixPro(smoothing=smoothing), lam)
    logits = 2 * torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    final = mixed.relabel(ModelOutputs(logits=logits))
    assert final.relabel is None and final.lam_second is None
    for n in range(4):
        kept = total = 0.0
        for row, column in np.ndindex(14, 14):
            value = attention[n, 0, row, column].item()
            total += value
            kept += value * mixed.mask[n, 0, 2 * row, 2 * column].item()
        powers = [math.exp(value) for value in logits[n].tolist()]
        prediction = np.array(powers) / sum(powers)
        target = np.zeros(5)
        for label, weight in ((LABELS[0][n], mixed.lam), (LABELS[1][n], 1 - mixed.lam)):
            for c in range(5):
                on = 1 - smoothing + smoothing / 5 if c == label else smoothing / 5
                target[c] += weight * on
        cosine = prediction @ target / math.sqrt((prediction @ prediction) * (target @ target))
        want = cosine * kept / total + (1 - cosine) * mixed.lam
        assert final.lam[n].item() == pytest.approx(want, abs=1e-5)


def test_a_perfect_prediction_believes_attention_and_a_wrong_one_the_area():
    mixed, _, _, attention = run(MixPro(smoothing=0.0), 0.5)
    looked = (mixed.mask[:, :, ::2, ::2] * attention).sum((1, 2, 3)) / attention.sum((1, 2, 3))
    assert (looked - 0.5).abs().min() > 1e-4
    one_hot = torch.eye(5)
    perfect = (mixed.lam * one_hot[LABELS[0]] + (1 - mixed.lam) * one_hot[LABELS[1]]).clamp(min=1e-30).log()
    torch.testing.assert_close(mixed.relabel(ModelOutputs(logits=perfect)).lam, looked)
    neither = torch.tensor([2, 1, 0, 0])  # of each sample's labels
    wrong = 100 * one_hot[neither]
    torch.testing.assert_close(mixed.relabel(ModelOutputs(logits=wrong)).lam, torch.full((4,), 0.5))


def test_errors():
    first = second = torch.rand(2, 3, 8, 8)
    labels = ImageInfo(labels=torch.zeros(2, dtype=torch.long))
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="MixPro needs the labels"):
        MixPro()(first, second, 0.5, generator=rng, guides=PairInfo())
    with pytest.raises(ValueError, match="MixPro needs the attention"):
        MixPro()(first, second, 0.5, generator=rng, guides=PairInfo(labels, labels))
    with pytest.raises(ValueError, match="MixPro needs the logits"):
        run(MixPro(), 0.5)[0].relabel(ModelOutputs())
    with pytest.raises(ConfigError, match="cells"):
        MixPro(0)
    with pytest.raises(ConfigError, match="smoothing"):
        MixPro(smoothing=1.5)
