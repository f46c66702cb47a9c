"""Draw, expand and mix in one call; weights as numbers."""

import dataclasses

import numpy as np
import torch

from samix.core.step import BatchShape
from samix.mixup import PairInfo, Pairing, draw_policy, expanded, mix
from samix.mixup.policy import NOTHING

NO_INFO = PairInfo()


def shape_of(images, grid=None, features=()):
    """Sizes of a batch of images (N, 3, H, W)."""
    return BatchShape(len(images), images.shape[2], images.shape[3], grid, features)


def draws_of(policy, images, lam, rng=0, *, index=None, grid=None, features=()):
    """Draws for a batch, on its device.

    rng: a seed or a generator. index: the partners; None: those of the policy's rule, or the next image.
    """
    rng = np.random.default_rng(rng) if isinstance(rng, int) else rng
    shape = shape_of(images, grid, features)
    pairing = Pairing(torch.arange(len(images)).roll(1) if index is None else index, everywhere=False)
    draws = draw_policy(policy, lam, rng, shape, lambda member: pairing)
    if index is not None:  # whatever rule the policy has
        draws = draws._replace(pairing=pairing)
    return expanded(policy, draws, shape, images.device)


def reweighted(policy, mixed, outputs):
    """The mixed images with final weights, given the outputs of the network."""
    return dataclasses.replace(mixed, weights=policy.reweight(mixed, outputs), final=True)


def mixed_batch(policy, images, lam, rng=0, *, info=NOTHING, outputs=None, others=None, **given):
    """Mix images with their partners, see `draws_of`; with `outputs` the weights are final."""
    draws = draws_of(policy, images, lam, rng, **given)
    mixed = mix(policy, images, draws, info, others)
    return mixed if outputs is None else reweighted(policy.member(draws.member), mixed, outputs)


def mixed_pairs(policy, first, second, lam, rng=0, *, info=NO_INFO, outputs=None, **given):
    """Mix each image of `first` with that of `second` in the same row; info is handed over as it is."""
    rows = torch.arange(len(first))
    draws = draws_of(policy, first, lam, rng, index=rows, **given)
    member = policy.member(draws.member)
    mixed = member(first, second, draws.pairing, draws.policy, info)
    return mixed if outputs is None else reweighted(member, mixed, outputs)


def lam_of(mixed):
    """The weight of the first parents, if it is one for all and the second parents have the rest."""
    assert mixed.final and mixed.weights.shape == (2, len(mixed.images))
    (lam,), (rest,) = (row.unique() for row in mixed.weights)
    assert mixed.weights.dtype == torch.float32 and abs(lam.double() + rest.double() - 1) < 1e-7
    return lam.item()


def float32(value):
    """A number as float32 has it."""
    return float(np.float32(value))
