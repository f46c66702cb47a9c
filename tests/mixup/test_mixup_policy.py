"""Mixup."""

import numpy as np
import pytest
import torch

from samix.mixup import Mixup


class NoDraws:
    """A generator that must not be asked."""


@pytest.mark.parametrize("lam", [0.0, 0.3, 0.8, 1.0])
def test_values(lam):
    first, second = torch.rand(2, 2, 3, 5, 4)
    before = first.clone(), second.clone()
    out = Mixup()(first, second, lam, generator=NoDraws(), guides=None)
    want = lam * first.numpy().astype("f8") + (1 - lam) * second.numpy().astype("f8")
    np.testing.assert_allclose(out.images, want, atol=1e-6)
    assert out.lam == lam and out.mask is None
    assert torch.equal(first, before[0]) and torch.equal(second, before[1])


def test_ends_are_exact():
    first, second = torch.randn(2, 2, 3, 5, 4)
    assert torch.equal(Mixup()(first, second, 1.0, generator=NoDraws(), guides=None).images, first)
    assert torch.equal(Mixup()(first, second, 0.0, generator=NoDraws(), guides=None).images, second)
