"""A job's worker that also writes down what every rank saw and ended with."""

import torch

from samix.core.distributed import all_gather
from samix.jobs import self_supervised


def train_and_tell(job, accelerator):
    """`train_encoder`; its result together with the ranks' images, views, weights and queues."""
    seen, learners, own_fit = [], [], self_supervised.fit

    def fit(learner, batches, **options):
        learners.append(learner)
        load = batches.load

        def load_and_keep(ctx):
            batch = load(ctx)
            seen.append(batch)
            return batch

        batches.load = load_and_keep
        return own_fit(learner, batches, **options)

    self_supervised.fit = fit
    try:
        self_supervised.train_encoder(job, accelerator)
    finally:
        self_supervised.fit = own_fit
    state = learners[0].state_dict() | dict(learners[0].named_parameters())
    ranks = {
        "index": all_gather(torch.cat([batch.index for batch in seen])[None]),
        "views": all_gather(torch.cat([batch.view_q.mean((1, 2, 3)) for batch in seen])[None]),
        "parameters": {name: all_gather(p.detach()[None]) for name, p in learners[0].named_parameters()},
        "queue": all_gather(state["method.queue.keys"][None]),
        "labels": {name: all_gather(t[None]) for name, t in learners[0].labels.state_dict().items()},
    }
    if accelerator.is_main_process:
        torch.save(ranks, job.work_dir / "ranks.pt")
