"""Local, global and eta-balanced loss, for classes and for instances."""

import math

import pytest
import torch
from torch.nn import functional as F

from helpers import naive_samix as naive
from samix.mixup import Pairing
from samix.objectives import (
    ClassObjective,
    InstanceObjective,
    InstanceTargets,
    eta_balanced,
    local_loss,
    mixed_loss,
)

N, T = 6, 0.2
LAMS = [0.0, 0.25, 0.5, 1.0]


def gaussian(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def class_task():
    """Objective, outputs, first and second targets; pairs 1 and 4 are of one class."""
    first = torch.tensor([0, 1, 4, 2, 2, 3])
    second = torch.tensor([3, 1, 0, 4, 2, 1])
    return ClassObjective(), 2 * gaussian(N, 5), first, second


def instance_task():
    """The same for instances; pairs 1 and 4 are an image with itself."""
    keys = F.normalize(gaussian(N, 4, seed=1), dim=1)
    index = torch.tensor([2, 1, 5, 0, 4, 3])
    ids = torch.arange(20, 20 + N)
    objective = InstanceObjective(F.normalize(gaussian(7, 4, seed=2), dim=1), T)
    outputs = F.normalize(gaussian(N, 4), dim=1)
    return objective, outputs, InstanceTargets(keys, ids), InstanceTargets(keys[index], ids[index])


def weights_of(lam):
    """Weights of both parents for lam, a number or a list of one per sample: (2,) or (2, N)."""
    share = torch.tensor(lam)
    return torch.stack([share, 1 - share])


def mixed_of(objective, outputs, first, second, lam):
    return mixed_loss(objective, outputs, [first, second], weights_of(lam))


def local_of(objective, outputs, first, second, lam):
    return local_loss(objective, outputs, first, second, torch.tensor(lam))


TASKS = pytest.mark.parametrize("task", [class_task, instance_task])


def scores(objective, outputs, first, second, n):
    """Scores of the two parents, before the exponential."""
    if isinstance(objective, ClassObjective):
        return outputs[n, first[n]], outputs[n, second[n]]
    return (outputs[n] @ first.keys[n]) / T, (outputs[n] @ second.keys[n]) / T


def point(objective, outputs, target, n):
    if isinstance(objective, ClassObjective):
        return naive.cross_entropy(outputs[n], target[n])
    return naive.info_nce(outputs[n], target.keys[n], objective.negatives, T)


@TASKS
@pytest.mark.parametrize("lam", LAMS)
def test_local_loss_is_binary_cross_entropy_of_the_two_parents(float64, task, lam):
    """pBCE and BCE, written with exponentials, over the pairs that differ."""
    parts = task()
    want = naive.mean([naive.binary(*scores(*parts, n), lam) for n in (0, 2, 3, 5)])
    torch.testing.assert_close(local_of(*parts, lam), want)


@TASKS
@pytest.mark.parametrize("lam", LAMS)
def test_mixed_loss(float64, task, lam):
    objective, outputs, first, second = task()
    want = naive.mean(
        [
            lam * point(objective, outputs, first, n) + (1 - lam) * point(objective, outputs, second, n)
            for n in range(N)
        ]
    )
    torch.testing.assert_close(mixed_of(objective, outputs, first, second, lam), want)


@TASKS
@pytest.mark.parametrize("lam", [[0.0, 0.3, 1.0, 0.5, 0.2, 0.9], [0.4] * 6])
def test_lam_of_each_sample(float64, task, lam):
    """A policy may mix every pair at a ratio of its own."""
    parts = task()
    objective, outputs, first, second = parts
    local = naive.mean([naive.binary(*scores(*parts, n), lam[n]) for n in (0, 2, 3, 5)])
    whole = naive.mean(
        [
            lam[n] * point(objective, outputs, first, n) + (1 - lam[n]) * point(objective, outputs, second, n)
            for n in range(N)
        ]
    )
    torch.testing.assert_close(local_of(*parts, lam), local)
    torch.testing.assert_close(mixed_of(*parts, lam), whole)


@TASKS
@pytest.mark.parametrize("kind", ["numbers", "one per sample"])
def test_a_weight_of_its_own_for_the_second_parent(float64, task, kind):
    """Shares that do not add up to one, as when a pasted patch hides more than it shows."""
    objective, outputs, first, second = task()
    lam, rest = [0.3] * N, [0.5] * N
    if kind == "one per sample":
        lam, rest = [0.1, 0.9, 0.5, 0.4, 0.0, 1.0], [0.7, 0.3, 0.2, 0.9, 0.6, 0.0]
    want = naive.mean(
        [
            lam[n] * point(objective, outputs, first, n) + rest[n] * point(objective, outputs, second, n)
            for n in range(N)
        ]
    )
    weights = torch.tensor([0.3, 0.5] if kind == "numbers" else [lam, rest])
    torch.testing.assert_close(mixed_loss(objective, outputs, [first, second], weights), want)


@TASKS
@pytest.mark.parametrize("kind", ["numbers", "one per sample"])
def test_one_term_for_each_of_many_parents(float64, task, kind):
    objective, outputs, first, second = task()
    third = Pairing(torch.tensor([3, 0, 1, 2, 5, 4]), everywhere=False).select(first)
    targets, weights = [first, second, third], torch.rand(3, 1 if kind == "numbers" else N)
    terms = [
        row[n] * point(objective, outputs, target, n)
        for target, row in zip(targets, weights.expand(3, N), strict=True)
        for n in range(N)
    ]
    given = weights[:, 0] if kind == "numbers" else weights
    torch.testing.assert_close(mixed_loss(objective, outputs, targets, given), sum(terms) / N)


def test_as_many_weights_as_targets():
    objective, outputs, first, second = class_task()
    with pytest.raises(ValueError, match="longer|shorter"):
        mixed_loss(objective, outputs, [first, second], torch.ones(3))


@TASKS
def test_eta(float64, task):
    objective, outputs, *targets = task()
    local, whole = (loss(objective, outputs, *targets, 0.3) for loss in (local_of, mixed_of))
    for eta in (0.0, 0.5, 1.0):
        out = eta_balanced(objective, outputs, tuple(targets), weights_of(0.3), eta=eta)
        torch.testing.assert_close(out.loss, local + eta * whole)
        torch.testing.assert_close((out.local_term, out.global_term), (local, whole))


@TASKS
@pytest.mark.parametrize(("eta", "local"), [(1.0, 0.0), (0.0, 1.0), (1.0, 0.25), (0.5, torch.tensor(0.25))])
def test_both_terms_have_a_weight(float64, task, eta, local):
    """A term of weight 0 is reported and has no gradient, whatever its value."""
    objective, outputs, *targets = task()
    outputs.requires_grad_()
    out = eta_balanced(objective, outputs, tuple(targets), weights_of(0.3), eta=eta, local=local)
    terms = local_of(objective, outputs, *targets, 0.3), mixed_of(objective, outputs, *targets, 0.3)
    torch.testing.assert_close((out.local_term, out.global_term), terms)
    torch.testing.assert_close(out.loss, local * terms[0] + eta * terms[1])
    gradients = [torch.autograd.grad(term, outputs, retain_graph=True)[0] for term in (out.loss, *terms)]
    torch.testing.assert_close(gradients[0], local * gradients[1] + eta * gradients[2])


def test_a_term_of_weight_zero_cannot_spoil_the_loss():
    """0 * inf is NaN: a term that is not wanted must not take part."""
    logits = torch.tensor([[0.0, 0.0, math.inf]], requires_grad=True)  # between 0 and 1 all is well
    targets = torch.tensor([1]), torch.tensor([0])
    out = eta_balanced(ClassObjective(), logits, targets, weights_of(0.5), eta=0.0)
    out.loss.backward()
    assert not out.global_term.isfinite()
    assert out.loss.item() == pytest.approx(math.log(2)) and logits.grad.isfinite().all()


@TASKS
def test_lam_belongs_to_the_first(float64, task):
    objective, outputs, first, second = task()
    plain = objective.point_loss(outputs, first).mean()
    torch.testing.assert_close(mixed_of(objective, outputs, first, second, 1.0), plain)
    for loss in (local_of, mixed_of):
        swapped = loss(objective, outputs, second, first, 0.8)
        torch.testing.assert_close(loss(objective, outputs, first, second, 0.2), swapped)
        assert abs(loss(objective, outputs, first, second, 0.8) - swapped) > 1e-3


def test_local_loss_of_classes_depends_on_the_two_logits_alone(float64):
    objective, outputs, first, second = class_task()
    outputs.requires_grad_()
    local_of(objective, outputs, first, second, 1.0).backward()
    for n in range(N):
        used = {first[n].item(), second[n].item()} if first[n] != second[n] else set()
        assert set(outputs.grad[n].nonzero().flatten().tolist()) == used
        assert outputs.grad[n].sum().abs() < 1e-12  # on o_a - o_b


@TASKS
def test_same_pairs_have_no_gradient_and_do_not_count(float64, task):
    objective, outputs, first, second = task()
    outputs.requires_grad_()
    loss = local_of(objective, outputs, first, second, 0.3)
    loss.backward()
    assert not outputs.grad[[1, 4]].any()
    assert outputs.grad[[0, 2, 3, 5]].any(1).all()


@TASKS
def test_only_same_pairs_give_zero(float64, task):
    objective, outputs, first, _ = task()
    outputs.requires_grad_()
    loss = local_of(objective, outputs, first, first, 0.3)
    loss.backward()
    assert loss.item() == 0
    assert not outputs.grad.any()


@TASKS
@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_gradient(float64, task, lam):
    objective, outputs, first, second = task()
    outputs.requires_grad_()
    for loss in (local_of, mixed_of):
        assert torch.autograd.gradcheck(lambda o, loss=loss: loss(objective, o, first, second, lam), outputs)


def test_class_weights_enter_the_global_term_alone(float64):
    objective, outputs, first, second = class_task()
    weights = torch.tensor([0.2, 1.5, 0.7, 2.0, 0.6], dtype=torch.float64)
    weighted = ClassObjective(weights)
    torch.testing.assert_close(
        local_of(weighted, outputs, first, second, 0.3), local_of(objective, outputs, first, second, 0.3)
    )
    terms = [
        0.3 * weights[a] * naive.cross_entropy(outputs[n], a)
        + 0.7 * weights[b] * naive.cross_entropy(outputs[n], b)
        for n, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True))
    ]
    torch.testing.assert_close(mixed_of(weighted, outputs, first, second, 0.3), sum(terms) / N)


def test_even_odds_cost_log_two():
    loss = local_of(ClassObjective(), torch.zeros(2, 3), torch.tensor([0, 1]), torch.tensor([1, 2]), 0.3)
    assert loss.item() == pytest.approx(math.log(2))
