"""Instance objective against infoNCE in loops."""

import math

import pytest
import torch
from torch.nn import functional as F

from helpers import naive_samix as naive
from samix.objectives import InstanceObjective, InstanceTargets, mixed_loss

T = 0.2


def task(n=5, d=4, k=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z, keys, queue = (
        F.normalize(torch.randn(rows, d, generator=generator, dtype=dtype), dim=1) for rows in (n, n, k)
    )
    return InstanceObjective(queue, T), z, InstanceTargets(keys, torch.arange(10, 10 + n))


def test_point_loss_is_info_nce(float64):
    objective, z, targets = task()
    want = [naive.info_nce(z[n], targets.keys[n], objective.negatives, T) for n in range(5)]
    torch.testing.assert_close(objective.point_loss(z, targets), torch.stack(want))


def test_own_softmax_per_parent(float64):
    """The other parent is neither a positive nor a negative: changing it leaves the first term alone."""
    objective, z, first = task()
    second = InstanceTargets(first.keys.roll(1, 0), first.index.roll(1))
    loss = mixed_loss(objective, z, [first, second], torch.tensor([0.3, 0.7]))
    nce_first = objective.point_loss(z, first).mean()
    nce_second = objective.point_loss(z, second).mean()
    torch.testing.assert_close(loss, 0.3 * nce_first + 0.7 * nce_second)


def test_logits_put_the_positive_first(float64):
    objective, z, targets = task()
    logits = objective.logits(z, targets)
    assert logits.shape == (5, 8)
    for n in range(5):
        assert logits[n, 0].item() == pytest.approx((z[n] @ targets.keys[n]).item() / T)
        for k in range(7):
            assert logits[n, 1 + k].item() == pytest.approx((z[n] @ objective.negatives[k]).item() / T)


def test_pair_logit_is_the_log_odds_of_two_instances(float64):
    objective, z, first = task()
    second = InstanceTargets(first.keys.flip(0), first.index.flip(0))
    logit = objective.pair_logit(z, first, second)
    for n in range(5):
        to_first, to_second = (math.exp((z[n] @ keys[n]).item() / T) for keys in (first.keys, second.keys))
        assert 1 / (1 + math.exp(-logit[n])) == pytest.approx(to_first / (to_first + to_second))


def test_distinct_goes_by_identity_not_by_key():
    objective, _, first = task()
    second = InstanceTargets(first.keys, first.index.flip(0))
    assert objective.distinct(first, second).tolist() == [True, True, False, True, True]


def test_gradient(float64):
    objective, z, first = task()
    second = InstanceTargets(first.keys.flip(0), first.index.flip(0))
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda o: objective.point_loss(o, first), z)
    assert torch.autograd.gradcheck(lambda o: objective.pair_logit(o, first, second), z)


def test_float32_island_under_autocast():
    """Autocast would multiply by the queue in bf16, and by the positive key in float32."""
    objective, z, targets = task(d=64, k=200, dtype=torch.float32)
    want = objective.logits(z, targets)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(objective.logits(z, targets), want)
        assert objective.point_loss(z, targets).dtype == torch.float32


QUEUE_LABELS = torch.tensor([3, 1, -1, 3, 2, 1, -1])


def labelled():
    """The same task with labels of images and queue; the last image's label is not in the queue."""
    objective, z, targets = task()
    labels = torch.tensor([3, 1, -1, 2, 5])
    return InstanceObjective(objective.negatives, T, QUEUE_LABELS), z, targets._replace(labels=labels)


def kept(label):
    """Rows of the queue that stay negatives of an image of this label."""
    return [k for k, other in enumerate(QUEUE_LABELS.tolist()) if other == -1 or other != label]


def test_negatives_of_the_targets_label_are_left_out(float64):
    """infoNCE(PL): not the positive's class, not the output's; -1 is unknown and stays."""
    objective, z, targets = labelled()
    loss = objective.point_loss(z, targets)
    for n, label in enumerate(targets.labels.tolist()):
        queue = objective.negatives[kept(label)]
        torch.testing.assert_close(loss[n], naive.info_nce(z[n], targets.keys[n], queue, T))
    assert [len(kept(label)) for label in targets.labels.tolist()] == [5, 5, 7, 6, 7]


def test_each_part_of_a_mix_leaves_out_its_own_negatives(float64):
    objective, z, first = labelled()
    index = [1, 2, 3, 4, 0]
    second = InstanceTargets(first.keys[index], first.index[index], first.labels[index])
    labels = first.labels.tolist()

    def part(n, other):
        return naive.info_nce(z[n], first.keys[other], objective.negatives[kept(labels[other])], T)

    want = naive.mean([0.3 * part(n, n) + 0.7 * part(n, index[n]) for n in range(5)])
    torch.testing.assert_close(mixed_loss(objective, z, [first, second], torch.tensor([0.3, 0.7])), want)


def test_an_image_all_of_whose_negatives_are_left_out(float64):
    objective, z, targets = task()
    alone = InstanceObjective(objective.negatives, T, torch.zeros(7, dtype=torch.long))
    z.requires_grad_()
    loss = alone.point_loss(z, targets._replace(labels=torch.zeros(5, dtype=torch.long)))
    loss.sum().backward()
    assert not loss.any() and not z.grad.any()


@pytest.mark.parametrize("missing", ["queue", "targets"])
def test_without_labels_nothing_is_left_out(float64, missing):
    objective, z, targets = labelled()
    plain = InstanceObjective(objective.negatives, T)
    want = plain.point_loss(z, targets)
    given = (plain, targets) if missing == "queue" else (objective, targets._replace(labels=None))
    assert torch.equal(given[0].point_loss(z, given[1]), want)


def test_gradient_with_negatives_left_out(float64):
    objective, z, targets = labelled()
    z.requires_grad_()
    assert torch.autograd.gradcheck(lambda o: objective.point_loss(o, targets), z)
