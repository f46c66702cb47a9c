"""Mixing on each of two ranks."""

import dataclasses

import torch

from helpers.tiny_moco import BATCH, batch_of, context, learner_of
from samix.core.distributed import rank, world_size
from samix.methods.mixed_branch import MixedBranch
from samix.mixup import CutMix, Mixup, RandomChoice, ResizeMix, draw_local_pairing, mix
from samix.mixup.table import name_of

CLASSES, STEPS = 7, 6
MEMBERS = ("mixup", "cutmix", "resizemix")
POLICIES = {
    "mixup": Mixup,
    "cutmix": CutMix,
    "resizemix": ResizeMix,
    "choice": lambda: RandomChoice(MEMBERS, (1.0,) * len(MEMBERS)),
}


def images_and_labels(step, number):
    """Images (N, 3, 16, 16) and labels (N,) of a rank."""
    return batch_of(2 * step + number).view_q, (torch.arange(BATCH) + number * BATCH) % CLASSES


def mixed(learner, step, everywhere):
    """This rank's batch, mixed by draws of self-supervised training or with partners of this rank."""
    images, labels = images_and_labels(step, rank())
    ctx = dataclasses.replace(context(step), rank=rank(), world_size=world_size())
    if everywhere:
        draws = learner.draw(batch_of(step), ctx).mix
    else:
        order = torch.Generator().manual_seed(step)
        branch = MixedBranch(learner.policy, 2.0, lam_per_sample=False)
        shape = learner._adapter.shape(learner.policy, *images.shape[::2], images.shape[3])
        draws = branch.draw(ctx, shape, lambda _: draw_local_pairing(BATCH, order, no_repeat=True))
    out = mix(learner.policy, images, draws)
    return {
        "member": name_of(learner.policy.member(draws.member)),
        "counted": out.everywhere,
        "images": out.images,
        "index": out.index,
        "weights": out.weights,
        "mask": out.mask,
        "soft": out.soft_targets(labels, CLASSES),
    }


def all_steps():
    """`mixed` for every policy, over all ranks and within this rank, step by step."""
    found = {}
    for name, policy in POLICIES.items():
        learner = learner_of("mixup")
        learner.policy = policy()
        for everywhere in (True, False):
            found[name, everywhere] = [mixed(learner, step, everywhere) for step in range(STEPS)]
    return found
