"""Class objective against the formulas, sample by sample."""

import math

import pytest
import torch

from helpers import naive_samix as naive
from samix.objectives import ClassObjective

LOGITS = 3 * torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 4, 2, 2, 3])
PARTNERS = torch.tensor([3, 1, 0, 2, 1, 4])
WEIGHTS = torch.tensor([0.2, 1.5, 0.7, 2.0, 0.6], dtype=torch.float64)


def test_point_loss_is_cross_entropy(float64):
    want = torch.stack([naive.cross_entropy(o, y) for o, y in zip(LOGITS, LABELS, strict=True)])
    torch.testing.assert_close(ClassObjective().point_loss(LOGITS, LABELS), want)


def test_weights_multiply_and_the_mean_divides_by_n(float64):
    """Not by the sum of the weights, as torch's own mean does."""
    loss = ClassObjective(WEIGHTS).point_loss(LOGITS, LABELS).mean()
    terms = [WEIGHTS[y] * naive.cross_entropy(o, y) for o, y in zip(LOGITS, LABELS, strict=True)]
    assert loss.item() == pytest.approx((sum(terms) / 6).item())
    own = torch.nn.functional.cross_entropy(LOGITS, LABELS, weight=WEIGHTS)
    assert abs(loss - own) > 0.01


def test_pair_logit_is_the_log_odds_of_two_classes(float64):
    logit = ClassObjective(WEIGHTS).pair_logit(LOGITS, LABELS, PARTNERS)
    for n, (a, b) in enumerate(zip(LABELS.tolist(), PARTNERS.tolist(), strict=True)):
        p_a = math.exp(LOGITS[n, a]) / (math.exp(LOGITS[n, a]) + math.exp(LOGITS[n, b]))
        assert 1 / (1 + math.exp(-logit[n])) == pytest.approx(p_a)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_smoothing_spreads_a_share_over_all_classes(float64, weights):
    """Target (1 - e) y + e / C; a weight belongs to its class's term."""
    loss = ClassObjective(weights, smoothing=0.1).point_loss(LOGITS, LABELS)
    w = torch.ones(5) if weights is None else weights
    for n, y in enumerate(LABELS.tolist()):
        target = [0.1 / 5 + 0.9 * (c == y) for c in range(5)]
        terms = [t * w[c] * naive.cross_entropy(LOGITS[n], c) for c, t in enumerate(target)]
        torch.testing.assert_close(loss[n], sum(terms))


def test_smoothing_leaves_the_pair_logit_alone(float64):
    smooth, plain = ClassObjective(smoothing=0.1), ClassObjective()
    assert torch.equal(
        smooth.pair_logit(LOGITS, LABELS, PARTNERS), plain.pair_logit(LOGITS, LABELS, PARTNERS)
    )


def test_distinct():
    assert ClassObjective().distinct(LABELS, PARTNERS).tolist() == [True, False, True, False, True, True]


def test_gradient(float64):
    logits = LOGITS.clone().requires_grad_()
    objective = ClassObjective(WEIGHTS)
    assert torch.autograd.gradcheck(lambda o: objective.point_loss(o, LABELS), logits)
    assert torch.autograd.gradcheck(lambda o: objective.pair_logit(o, LABELS, PARTNERS), logits)


def test_half_precision_logits_are_judged_in_float32():
    logits = LOGITS.bfloat16()
    objective = ClassObjective()
    assert objective.point_loss(logits, LABELS).dtype == torch.float32
    torch.testing.assert_close(
        objective.pair_logit(logits, LABELS, PARTNERS), objective.pair_logit(logits.float(), LABELS, PARTNERS)
    )


def test_large_logits_stay_finite():
    logits = torch.tensor([[900.0, -900.0]])
    label, other = torch.tensor([1]), torch.tensor([0])
    assert ClassObjective().point_loss(logits, label).item() == pytest.approx(1800)
    assert ClassObjective().pair_logit(logits, label, other).item() == -1800
