"""Workers at the top level of a module, as processes of their own need them."""

import torch

from helpers.toys import Line, Numbers
from samix.core.distributed import all_gather
from samix.core.errors import ConfigError
from samix.training import fit


class Halves(Numbers):
    """Each rank has its half of the batch of one process."""

    def load(self, ctx):
        x = torch.randn(8, 3, generator=ctx.shared_generator("x"))
        rows = slice(ctx.rank * 8 // ctx.world_size, (ctx.rank + 1) * 8 // ctx.world_size)
        self.loaded.append(x[rows])
        return x[rows], x[rows, :2] * 2 + 1


def train_line(job, accelerator):
    """Train and keep the weights, the rows loaded and the number of threads of each rank."""
    learner, batches = Line(), Halves()
    fit(learner, batches, epochs=3, job=job, accelerator=accelerator)
    found = {
        "weights": all_gather(learner.linear.weight.detach()[None]),
        "seen": all_gather(torch.stack(batches.loaded)[None]),
        "threads": all_gather(torch.tensor([torch.get_num_threads()])),
    }
    if accelerator.is_main_process:
        job.finish(found, {})


def refuse(job, accelerator):
    """The last rank finds its settings impossible while the others wait for it."""
    if accelerator.is_last_process:
        raise ConfigError("moco.queue (7) is too short.")
    accelerator.wait_for_everyone()
