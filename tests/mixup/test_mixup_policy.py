"""Mixup."""

import numpy as np
import pytest
import torch

from helpers.mixing import float32, lam_of, mixed_pairs
from samix.mixup import Mixup
from samix.mixup.lam import pair_weights
from samix.mixup.policies.mixup import linear


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


def test_gradients_of_mixed_features_are_the_weights():
    """Each is rounded once from float64; 1 - the rounded weight often differs in its last bit."""
    rounded = []
    for lam in np.random.default_rng(0).random(50).tolist():
        first, second = torch.randn(2, 2, 3, 5, 4).requires_grad_().unbind()
        weights = pair_weights(lam, 2)
        grads = torch.autograd.grad(linear(first, second, weights).sum(), (first, second))
        for gradient, weight in zip(grads, (lam, 1 - lam), strict=True):
            assert (gradient == torch.tensor(weight, dtype=torch.float64).float()).all()
        rounded.append((1 - weights[0] == weights[1]).all())
    assert not all(rounded)


def test_mixed_features_are_one_graph():
    """And the gradients are right in it."""
    first, second = torch.randn(2, 3, 4, dtype=torch.float64).requires_grad_().unbind()
    weights = torch.tensor([[0.3, 0.5, 0.9], [0.7, 0.5, 0.1]], dtype=torch.float64)
    compiled = torch.compile(linear, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(first, second, weights).square().sum(), (first, second))
    mixed = weights[0][:, None] * first + weights[1][:, None] * second
    want = torch.autograd.grad(mixed.square().sum(), (first, second))
    torch.testing.assert_close(found, want)
