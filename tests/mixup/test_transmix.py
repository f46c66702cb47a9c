"""TransMix's labels patch by patch, over CutMix's images."""

import numpy as np
import pytest
import torch

from samix.core.errors import ConfigError
from samix.mixup import CutMix, ModelOutputs, TransMix


def run(policy, lam, size=(32, 48), seed=0):
    first, second = torch.rand(2, 3, 3, *size, generator=torch.Generator().manual_seed(1))
    return policy(first, second, lam, generator=np.random.default_rng(seed), guides=None)


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.8, 1.0])
def test_images_are_those_of_cutmix(lam):
    ours, cutmix = run(TransMix(), lam), run(CutMix(), lam)
    assert torch.equal(ours.images, cutmix.images) and torch.equal(ours.mask, cutmix.mask)
    assert ours.lam == cutmix.lam


@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize(("grid", "size"), [((2, 3), (32, 48)), ((8, 8), (32, 32)), ((7, 3), (49, 12))])
def test_labels_patch_by_patch(ratio, grid, size):
    """A patch belongs to the image that its first pixel is of."""
    attention = torch.rand(3, 1, *grid, generator=torch.Generator().manual_seed(2)) / 99
    for seed in range(4):
        mixed = run(TransMix(ratio), 0.4, size, seed)
        final = mixed.relabel(ModelOutputs(attention=attention))
        assert final.relabel is None and final.lam_second is None
        assert final.images is mixed.images and final.mask is mixed.mask
        step = size[0] // grid[0], size[1] // grid[1]
        for n in range(3):
            kept, total = 0.0, 0.0
            for row, column in np.ndindex(*grid):
                value = attention[n, 0, row, column].item()
                total += value
                kept += value * mixed.mask[n, 0, row * step[0], column * step[1]].item()
            want = ratio * mixed.lam + (1 - ratio) * kept / total
            assert final.lam[n].item() == pytest.approx(want, abs=1e-6)


def test_orientation():
    """All attention on the box of the second image: the area alone speaks for the first."""
    mixed = run(TransMix(0.25), 0.4, (32, 32))
    box = 1 - mixed.mask[:, :, ::4, ::4]
    assert 0 < box.mean() < 1
    lam = mixed.relabel(ModelOutputs(attention=box)).lam
    torch.testing.assert_close(lam, torch.full((3,), 0.25 * mixed.lam))
    lam = mixed.relabel(ModelOutputs(attention=1 - box)).lam
    torch.testing.assert_close(lam, torch.full((3,), 0.25 * mixed.lam + 0.75))


def test_lam_one_stays_one():
    lam = run(TransMix(), 1.0).relabel(ModelOutputs(attention=torch.rand(3, 1, 2, 3))).lam
    torch.testing.assert_close(lam, torch.ones(3))


def test_errors():
    with pytest.raises(ValueError, match="TransMix needs the attention"):
        run(TransMix(), 0.5).relabel(ModelOutputs())
    with pytest.raises(ConfigError, match="ratio"):
        TransMix(1.5)
