"""TransMix's labels patch by patch, over CutMix's images."""

import numpy as np
import pytest
import torch

from helpers.mixing import lam_of, mixed_pairs, reweighted
from samix.core.errors import ConfigError
from samix.mixup import CutMix, ModelOutputs, TransMix


def run(policy, lam, size=(32, 48), seed=0):
    first, second = torch.rand(2, 3, 3, *size, generator=torch.Generator().manual_seed(1))
    return mixed_pairs(policy, first, second, lam, seed)


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.8, 1.0])
def test_images_are_those_of_cutmix(lam):
    ours, cutmix = run(TransMix(), lam), run(CutMix(), lam)
    assert torch.equal(ours.images, cutmix.images) and torch.equal(ours.mask, cutmix.mask)
    assert torch.equal(ours.weights, cutmix.weights) and not ours.final and cutmix.final


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize(("grid", "size"), [((2, 3), (32, 48)), ((8, 8), (32, 32)), ((7, 3), (49, 12))])
def test_labels_patch_by_patch(ratio, grid, size):
    """A patch belongs to the image that its first pixel is of."""
    attention = torch.rand(3, 1, *grid, generator=torch.Generator().manual_seed(2)) / 99
    for seed in range(4):
        mixed, area = run(TransMix(ratio), 0.4, size, seed), lam_of(run(CutMix(), 0.4, size, seed))
        final = reweighted(TransMix(ratio), mixed, ModelOutputs(attention=attention))
        step = size[0] // grid[0], size[1] // grid[1]
        for n in range(3):
            kept, total = 0.0, 0.0
            for row, column in np.ndindex(*grid):
                value = attention[n, 0, row, column].item()
                total += value
                kept += value * mixed.mask[n, 0, row * step[0], column * step[1]].item()
            want = ratio * area + (1 - ratio) * kept / total
            assert final.weights[:, n].tolist() == pytest.approx([want, 1 - want], abs=1e-6)


def test_orientation():
    """All attention on the box of the second image: the area alone speaks for the first."""
    mixed, policy = run(TransMix(0.25), 0.4, (32, 32)), TransMix(0.25)
    box = 1 - mixed.mask[:, :, ::4, ::4]
    assert 0 < box.mean() < 1
    lam = policy.reweight(mixed, ModelOutputs(attention=box))[0]
    torch.testing.assert_close(lam, 0.25 * mixed.weights[0])
    lam = policy.reweight(mixed, ModelOutputs(attention=1 - box))[0]
    torch.testing.assert_close(lam, 0.25 * mixed.weights[0] + 0.75)


def test_lam_one_stays_one():
    weights = TransMix().reweight(run(TransMix(), 1.0), ModelOutputs(attention=torch.rand(3, 1, 2, 3)))
    torch.testing.assert_close(weights, torch.tensor([[1.0] * 3, [0.0] * 3]))


def test_errors():
    with pytest.raises(ValueError, match="TransMix requires the attention"):
        TransMix().reweight(run(TransMix(), 0.5), ModelOutputs())
    with pytest.raises(ConfigError, match="ratio"):
        TransMix(1.5)
