"""The sigmoid loss whose weight off the mixed classes does something, against loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from helpers import naive_samix as naive
from samix.objectives import sigmoid_negweight

LOGITS = 2 * torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
FIRST, SECOND = torch.tensor([0, 2, 4, 1]), torch.tensor([3, 2, 1, 0])  # pair 1 is of one class


def loss_of(logits, lam, eta):
    return sigmoid_negweight(logits, FIRST, SECOND, torch.tensor([lam, 1 - lam]), eta=eta)


def by_loops(lam, eta):
    """Sum over classes, mean over samples, with logarithms of sigmoids written out."""
    rows = []
    for n in range(4):
        total = 0.0
        for c in range(5):
            mixed = c in (FIRST[n], SECOND[n])
            y = lam * (c == FIRST[n]) + (1 - lam) * (c == SECOND[n])
            p = 1 / (1 + math.exp(-LOGITS[n, c]))
            total += (1.0 if mixed else eta) * -(y * math.log(p) + (1 - y) * math.log(1 - p))
        rows.append(total)
    return float(naive.mean(rows))


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_by_loops(float64, lam, eta):
    assert loss_of(LOGITS, lam, eta).item() == pytest.approx(by_loops(lam, eta))


def test_the_weight_matters_here_and_would_not_with_softmax(float64):
    """Off the mixed classes a soft label is 0: what multiplies it in a cross-entropy cannot matter."""
    logits = LOGITS.clone().requires_grad_()
    gradients, softmax = [], []
    for eta in (0.1, 1.0):
        loss = loss_of(logits, 0.3, eta)
        gradients.append(torch.autograd.grad(loss, logits)[0])
        target = 0.3 * F.one_hot(FIRST, 5) + 0.7 * F.one_hot(SECOND, 5)
        weight = torch.where(target > 0, 1.0, eta)
        softmax.append(-(weight * target * logits.log_softmax(1)).sum(1).mean())
    assert torch.equal(*softmax)
    off = torch.ones(4, 5, dtype=torch.bool)
    off[torch.arange(4), FIRST] = off[torch.arange(4), SECOND] = False
    torch.testing.assert_close(gradients[0][off], 0.1 * gradients[1][off])
    assert gradients[1][off].all()
    assert torch.equal(gradients[0][~off], gradients[1][~off])


def test_gradient(float64):
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda o: loss_of(o, 0.3, 0.5), logits)


def test_half_precision_logits_are_widened():
    logits = LOGITS.bfloat16()
    loss = loss_of(logits, 0.3, 0.5)
    assert loss.dtype == torch.float32
    assert loss == loss_of(logits.float(), 0.3, 0.5)
