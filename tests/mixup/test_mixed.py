"""The result of mixing: rows of the parents, weights of their labels, targets, and the loss of all."""

import dataclasses

import numpy as np
import pytest
import torch

from helpers.all_policies import N, cases, images_and_info, policy_of
from helpers.mixing import mixed_batch
from helpers.mixing_two_ranks import CLASSES, POLICIES, STEPS, all_steps, images_and_labels
from helpers.tiny_moco import BATCH
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks.in_group(all_steps)


@pytest.mark.parametrize("everywhere", [True, False], ids=["all ranks", "this rank"])
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.slow
def test_rows_of_the_rank_and_of_the_global_batch(ranks, name, everywhere):
    """On two ranks: `index` counts as `everywhere` says, and images and targets come from these rows."""
    crossing, members = 0, []
    for step in range(STEPS):
        batches = [images_and_labels(step, number) for number in range(2)]
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        found = [rank[name, everywhere][step] for rank in ranks]
        members.append([out["member"] for out in found])
        for number, out in enumerate(found):
            start = number * BATCH
            rows = out["index"] if everywhere else out["index"] + start
            assert out["counted"] == everywhere
            assert rows[0].tolist() == list(range(start, start + BATCH))
            crossing += int((rows[1] // BATCH != number).sum())
            mask, weights = out["mask"], out["weights"]
            want = by_hand(out["member"], images[rows[0]], images[rows[1]], mask, weights)
            torch.testing.assert_close(out["images"], want)
            if mask is not None:
                torch.testing.assert_close(weights[0], mask.mean((1, 2, 3)))
            soft = torch.zeros(BATCH, CLASSES)
            for image, (own, other) in enumerate(rows.T.tolist()):
                soft[image, labels[own]] += weights[0, image]
                soft[image, labels[other]] += 1 - weights[0, image]
            torch.testing.assert_close(out["soft"], soft)
    assert (crossing > 0) == everywhere
    assert len({member for pair in members for member in pair}) > (name == "choice")
    if everywhere:
        assert all(one == other for one, other in members)


def by_hand(member, first, second, mask, weights):
    """Images (N, 3, 16, 16) of Mixup by its weights, and of CutMix and ResizeMix by the box of the mask."""
    if member == "mixup":
        return weights[0, :, None, None, None] * first + weights[1, :, None, None, None] * second
    want = first.clone()
    rows, columns = (1 - mask[0, 0]).nonzero().unbind(1)
    top, left = (int(edge.min()) if len(edge) else 0 for edge in (rows, columns))
    height, width = len(rows.unique()), len(columns.unique())
    assert len(rows) == height * width
    for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
        place = (y, x) if member == "cutmix" else ((y - top) * 16 // height, (x - left) * 16 // width)
        want[:, :, y, x] = second[:, :, place[0], place[1]]
    return want
