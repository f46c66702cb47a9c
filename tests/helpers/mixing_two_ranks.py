"""Mixing on each of two ranks."""

import torch

from helpers.mixing import draws_of
from samix.core.distributed import rank
from samix.mixup import CutMix, Mixup, draw_pairing, mix

N, CLASSES, LAM = 3, 7, 0.3


def batch_of(number):
    """Images (N, 3, 2, 2) and labels (N,) of a rank."""
    generator = torch.Generator().manual_seed(number)
    return torch.rand(N, 3, 2, 2, generator=generator), torch.arange(N) + number * N


def mixed(everywhere):
    """A mix of this rank's batch with partners of all ranks or of this one, and its soft targets."""
    images, labels = batch_of(rank())
    draws = draws_of(Mixup(), images, LAM)
    if everywhere:
        draws = draws._replace(pairing=draw_pairing(N, torch.Generator().manual_seed(1)))
    out = mix(Mixup(), images, draws)
    return out.images, out.index, out.everywhere, out.soft_targets(labels, CLASSES)


def cut(step):
    """CutMix of a rank's batch by a box of its own, with partners of all ranks; the batch is 8 x 8."""
    images = batch_of(rank())[0].repeat(1, 1, 4, 4) + torch.arange(64).view(8, 8)
    draws = draws_of(CutMix(), images, 0.5, 10 * step + rank())
    draws = draws._replace(pairing=draw_pairing(N, torch.Generator().manual_seed(step)))
    out = mix(CutMix(), images, draws)
    return images, out.images, out.index, out.mask


def cuts():
    """`cut` for some steps."""
    return [cut(step) for step in range(4)]


def both_ways():
    """`mixed` over all ranks and within this rank."""
    return {everywhere: mixed(everywhere) for everywhere in (True, False)}
