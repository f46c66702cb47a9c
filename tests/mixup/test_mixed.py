"""The result of mixing: rows of the parents, weights of their labels, targets, and the loss of all."""

import dataclasses

import numpy as np
import pytest
import torch

from helpers.all_policies import N, cases, images_and_info, policy_of
from helpers.mixing import mixed_batch
from helpers.mixing_two_ranks import CLASSES, LAM, batch_of, both_ways, cuts
from helpers.mixing_two_ranks import N as PER_RANK
from samix.mixup import Mixed, MixedBatch, Mixup, TransMix, mixed_term
from samix.objectives import ClassObjective, InstanceTargets, MixedCE

FEATURES = ((4, 12, 12),) * 2


def result(k, m=5, own_first=True, seed=0, **fields):
    """M mixed images of K parents among M rows, whose weights sum to anything."""
    rng = torch.Generator().manual_seed(seed)
    index = torch.randint(m, (k, m), generator=rng)
    if own_first:
        index[0] = torch.arange(m)
    weights = torch.rand(k, m, generator=rng)
    return Mixed(torch.zeros(m, 3, 2, 2), index, weights, own_first=own_first, **fields)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("k", "own_first"), [(2, True), (3, False)])
def test_soft_targets_in_loops(k, own_first, smoothing):
    """Parents of one class add up, and each parent's smoothing has the parent's weight."""
    for seed in range(5):
        mixed = result(k, own_first=own_first, seed=seed)
        labels = torch.tensor([3, 0, 1, 3, 0])
        found = mixed.soft_targets(labels, 4, smoothing)
        want = np.zeros((5, 4))
        for row, parent, label in np.ndindex(5, k, 4):
            own = labels[mixed.index[parent, row]].item() == label
            weight = mixed.weights[parent, row].double().item()
            want[row, label] += weight * ((1 - smoothing) * own + smoothing / 4)
        np.testing.assert_allclose(found, want, atol=1e-6)
        assert found.dtype == torch.float32 and found.shape == (5, 4)


def test_targets_of_each_parent():
    """The image's own ones as they are, the others' from those of the other view, part by part."""
    first, second = (InstanceTargets(torch.rand(5, 2), torch.arange(5) + shift) for shift in (10, 20))
    mixed = result(2)
    own, other = mixed.targets_of(first, second)
    assert own is first
    assert torch.equal(other.index, 20 + mixed.index[1])
    assert torch.equal(other.keys, second.keys[mixed.index[1]])


def test_targets_where_no_parent_is_the_image_itself():
    labels, mixed = torch.tensor([4, 5, 6, 7, 8]), result(3, own_first=False)
    found = mixed.targets_of(labels, None)
    assert torch.equal(torch.stack(found), labels[mixed.index])


@pytest.mark.parametrize(
    "use",
    [
        lambda mixed, labels: mixed.targets_of(labels, labels),
        lambda mixed, labels: mixed.soft_targets(labels, 9),
        lambda mixed, labels: MixedBatch(mixed, Mixup()).loss(torch.rand(5, 9), labels),
        lambda mixed, labels: mixed_term(MixedCE(ClassObjective()), torch.rand(5, 9), mixed, labels, labels),
    ],
    ids=["targets", "soft targets", "loss of a batch", "term"],
)
def test_no_loss_before_the_weights_are_final(use):
    labels, mixed = torch.arange(5), result(2, final=False)
    with pytest.raises(ValueError, match=r"Adapter\.forward_mixed"):
        use(mixed, labels)
    use(dataclasses.replace(mixed, final=True), labels)


def test_a_reweighing_policy_says_so():
    images = torch.rand(4, 3, 16, 16)
    assert not mixed_batch(TransMix(), images, 0.4).final


@pytest.mark.parametrize("name", cases())
def test_shape_and_rows_of_every_policy(name, tmp_path):
    """(K, M) rows and weights, one mask for two parents, K for more; of two the first is the image itself."""
    what, options, per_sample = cases()[name]
    policy = policy_of(what, options, tmp_path)
    images, info = images_and_info(policy)
    lam = np.linspace(0.1, 0.9, N) if per_sample else 0.4
    for seed in range(4):
        out = mixed_batch(policy, images, lam, seed, info=info, grid=(4, 4), features=FEATURES)
        count = len(out.index)
        assert out.index.shape == out.weights.shape == (count, N) and count >= 2
        assert out.index.dtype == torch.int64 and out.weights.dtype == torch.float32
        assert out.index.min() >= 0 and out.index.max() < N and not out.everywhere
        assert len(out.images) == N and (count == 2 or policy.many_parents)
        if out.own_first:
            assert out.index[0].tolist() == list(range(N))
        else:
            assert count > 2 and policy.many_parents
        if out.mask is not None:
            size = out.images.shape[2:]
            assert out.mask.shape == ((N, 1, *size) if count == 2 else (count, N, 1, *size))
        assert out.final == (not policy.requires_outputs)


@pytest.mark.parametrize("name", ["comixup", "adautomix", "supermix of three"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_sum_over_all_parents(name, smoothing, tmp_path):
    """In float64, parent by parent, image by image; the same as cross-entropy with the soft targets."""
    policy = policy_of(*cases()[name][:2], tmp_path)
    images, info = images_and_info(policy)
    for seed in range(4):
        mixed = mixed_batch(policy, images, 0.4, seed, info=info)
        assert len(mixed.index) >= 3
        generator = torch.Generator().manual_seed(seed)
        logits, labels = 3 * torch.randn(N, 5, generator=generator), torch.tensor([0, 3, 1, 3])
        found = mixed_term(MixedCE(ClassObjective(smoothing=smoothing)), logits, mixed, labels, labels)
        exponentials = np.exp(logits.double().numpy())
        logs = np.log(exponentials / exponentials.sum(1, keepdims=True))
        want = 0.0
        for rows, weights in zip(mixed.index.tolist(), mixed.weights.tolist(), strict=True):
            for image, (row, weight) in enumerate(zip(rows, weights, strict=True)):
                own = (1 - smoothing) * logs[image, labels[row]] + smoothing * logs[image].mean()
                want -= weight * own / N
        assert found.item() == pytest.approx(want, rel=1e-6)
        soft = mixed.soft_targets(labels, 5, smoothing).double().numpy()
        assert -(soft * logs).sum() / N == pytest.approx(want, rel=1e-6)


def test_rows_of_the_rank_and_of_the_global_batch(two_ranks):
    """On two ranks: `index` counts as `everywhere` says, and images and targets come from these rows."""
    images, labels = (torch.cat(parts) for parts in zip(*map(batch_of, range(2)), strict=True))
    crossing = 0
    for number, ways in enumerate(two_ranks.in_group(both_ways)):
        for everywhere, (mixed, index, counted, soft) in ways.items():
            start = number * PER_RANK
            rows = index if everywhere else index + start
            assert counted == everywhere
            assert rows[0].tolist() == list(range(start, start + PER_RANK))
            crossing += int((rows[1] // PER_RANK != number).sum())
            torch.testing.assert_close(mixed, LAM * images[rows[0]] + (1 - LAM) * images[rows[1]])
            want = torch.zeros(PER_RANK, CLASSES)
            for image, (own, other) in enumerate(rows.T.tolist()):
                want[image, labels[own]] += LAM
                want[image, labels[other]] += 1 - LAM
            torch.testing.assert_close(soft, want)
    assert crossing > 0


def test_boxes_of_two_ranks_are_cut_from_the_partners_of_both(two_ranks):
    """The boxes of the ranks differ in place and size."""
    for ranks in zip(*two_ranks.in_group(cuts), strict=True):
        images = torch.cat([rank[0] for rank in ranks])
        assert not torch.equal(ranks[0][3], ranks[1][3])
        for _, mixed, index, mask in ranks:
            want = torch.where(mask.bool(), images[index[0]], images[index[1]])
            torch.testing.assert_close(mixed, want, rtol=0, atol=0)
