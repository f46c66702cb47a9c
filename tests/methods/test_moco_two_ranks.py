"""MoCo on two processes: one global batch, one permutation, one queue."""

import dataclasses

import pytest
import torch

from helpers.moco_two_ranks import CASES, all_steps, members
from helpers.steps import step_of as step
from helpers.tiny_moco import batch_of, context, learner_of, new_keys
from samix.mixup import draw_lam

pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("kind", list(CASES))
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks.in_group(all_steps)


def alone(kind):
    """The same step by one process."""
    learner = learner_of(**CASES[kind]).eval()
    plain = step(learner, batch_of(0), context(0))["loss_ssl"]
    learner.after_step(context(0))
    return {"keys": new_keys(learner), "queue": learner.method.queue, "plain": plain, "learner": learner}


def partners(all_rows, rows):
    """Which of `all_rows` each of `rows` is."""
    distance = (rows[:, None] - all_rows[None]).flatten(2).abs().amax(2)
    assert (distance.amin(1) < 1e-5).all()
    return distance.argmin(1)


def context_of(rank):
    return dataclasses.replace(context(0), rank=rank, world_size=2)


@KINDS
def test_keys_and_queue_are_those_of_one_process(ranks, kind):
    """Shuffling over the ranks is undone, and the queue takes the keys in rank order."""
    want, own = alone(kind), [rank[kind] for rank in ranks]
    torch.testing.assert_close(torch.cat([o["keys"] for o in own]), want["keys"], **CLOSE)
    torch.testing.assert_close((own[0]["plain"] + own[1]["plain"]) / 2, want["plain"], **CLOSE)
    assert torch.equal(own[0]["queue"], own[1]["queue"])
    torch.testing.assert_close(own[0]["queue"], want["queue"].keys, **CLOSE)
    for rank in own:
        assert torch.equal(rank["index"], want["queue"].index)


@KINDS
def test_keys_are_computed_from_shuffled_batches(ranks, kind):
    """Together the momentum encoders saw every image once, and not each rank its own alone."""
    batch = batch_of(0)
    images = batch.view_k if kind == "mixup" else torch.cat([batch.view_q, batch.view_k])
    seen = [rank[kind]["momentum_encoder"][0] for rank in ranks]
    everything = partners(images, torch.cat(seen)).tolist()
    assert sorted(everything) == list(range(len(images)))
    assert everything != list(range(len(images)))


def test_partners_come_from_the_global_batch(ranks):
    """lam is each rank's own, the permutation one for all."""
    images, index, lams = batch_of(0).view_q, [], []
    for number, rank in enumerate(ranks):
        lam = draw_lam(2.0, context_of(number).numpy_generator("lam"))
        own, mixed = rank["mixup"]["view_q"], rank["mixup"]["encoder"][1]
        index += partners(images, (mixed - lam * own) / (1 - lam)).tolist()
        lams.append(lam)
    assert sorted(index) == list(range(4)) and all(n != partner for n, partner in enumerate(index))
    assert any((n < 2) != (partner < 2) for n, partner in enumerate(index))
    assert lams[0] != lams[1]


@pytest.mark.parametrize("kind", ["instance", "swap", "cluster"])
def test_maps_and_images_of_a_branch_use_the_same_partners(ranks, kind):
    batch = batch_of(0)
    images = batch.view_k if kind == "swap" else batch.view_q
    maps = alone(kind)["learner"].method.momentum_encoder.backbone.tap_map(images).detach()
    for branch, encoder in ((0, "encoder"), (1, "momentum_encoder")):
        index = []
        for rank in ranks:
            _, second, mask = rank[kind]["mixer"][branch]
            own = partners(maps, second)
            index += own.tolist()
            want = mask * rank[kind]["view_q"] + (1 - mask) * images[own]
            torch.testing.assert_close(rank[kind][encoder][1], want, **CLOSE)
        assert sorted(index) == list(range(4)) and all(n != partner for n, partner in enumerate(index))


def test_labels_that_follow_are_those_of_one_process(ranks):
    want = alone("cluster")["learner"].labels.state_dict()
    for rank in ranks:
        for name, tensor in want.items():
            torch.testing.assert_close(rank["cluster"]["labels"][name], tensor, msg=name, **CLOSE)
    assert want["change_ratio"] > 0


def test_ranks_choose_the_same_member_of_a_choice(two_ranks):
    first, second = two_ranks.in_group(members)
    assert first == second and len(set(first)) == 2
