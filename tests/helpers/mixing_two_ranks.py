"""One of two gloo processes that mix across ranks: rank, rendezvous file, output file."""

import sys

import torch
import torch.distributed as dist

from helpers.mixing import draws_of
from samix.core.distributed import rank
from samix.mixup import Mixup, draw_pairing, mix

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


if __name__ == "__main__":
    number, meeting, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=2)
    torch.save({everywhere: mixed(everywhere) for everywhere in (True, False)}, out)
    dist.destroy_process_group()
