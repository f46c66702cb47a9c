"""Mixup."""

import numpy as np
import pytest
import torch

from helpers.mixing import float32, lam_of, mixed_pairs
from samix.mixup import Mixup


class NoDraws:
    """A generator that must not be used."""


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.8, 1.0])
def test_values(lam):
    first, second = torch.rand(2, 2, 3, 5, 4)
    before = first.clone(), second.clone()
    out = mixed_pairs(Mixup(), first, second, lam, NoDraws())
    want = lam * first.numpy().astype("f8") + (1 - lam) * second.numpy().astype("f8")
    np.testing.assert_allclose(out.images, want, atol=1e-6)
    assert lam_of(out) == float32(lam) and out.mask is None
    assert torch.equal(first, before[0]) and torch.equal(second, before[1])


def test_ends_are_exact():
    first, second = torch.randn(2, 2, 3, 5, 4)
    assert torch.equal(mixed_pairs(Mixup(), first, second, 1.0, NoDraws()).images, first)
    assert torch.equal(mixed_pairs(Mixup(), first, second, 0.0, NoDraws()).images, second)
