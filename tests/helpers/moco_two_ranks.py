"""The work of each of two gloo processes that share MoCo's batches."""

import dataclasses

from helpers.steps import step_of
from helpers.tiny_moco import CONFIG, batch_of, context, learner_of, new_keys
from samix.config.mixing import MaskAdjustConfig
from samix.core.distributed import local_rows, rank, world_size
from samix.methods import SelfSupervised
from samix.mixup import RandomChoice

SWAP = CONFIG.model_copy(update={"cross_view": "swap"})
CASES = {
    "mixup": {"kind": "mixup"},
    "instance": {"kind": "instance"},
    "swap": {"kind": "instance", "config": SWAP},
    "cluster": {"kind": "cluster", "labels": "online"},
}


def step(kind):
    """What happens in one step, statistics frozen; each rank gives its rows of the global batch."""
    learner = learner_of(**CASES[kind]).eval()
    if kind != "mixup":
        learner.policy.adjust = MaskAdjustConfig(mode="off")
    seen = {"encoder": [], "momentum_encoder": [], "mixer": []}
    for name in ("encoder", "momentum_encoder"):
        getattr(learner.method, name).register_forward_pre_hook(
            lambda _, inputs, n=name: seen[n].append(inputs[0].detach())
        )
    if kind != "mixup":
        learner.mixer_training.mixer.register_forward_hook(
            lambda _, inputs, out: seen["mixer"].append((*inputs[:2], out.mask.detach()))
        )
    ctx = dataclasses.replace(context(0), rank=rank(), world_size=world_size())
    batch = type(batch_of(0))(*map(local_rows, batch_of(0)))
    metrics = step_of(learner, batch, ctx)
    learner.after_step(ctx)
    seen |= {"keys": new_keys(learner), "queue": learner.method.queue.keys, "view_q": batch.view_q}
    if learner.labels is not None:
        seen["labels"] = learner.labels.state_dict()
    return {**seen, "index": learner.method.queue.index, "plain": metrics["loss_ssl"].detach()}


def all_steps():
    """`step` for every case."""
    return {kind: step(kind) for kind in CASES}


def members():
    """Members that a choice resolves to on this rank, by step; the members gather different tensors."""
    choice = RandomChoice(("mixup", "augmix"), (None, None))
    learner = SelfSupervised(learner_of("none").method, policy=choice)
    contexts = [dataclasses.replace(context(step), rank=rank()) for step in range(8)]
    return [learner.draw(batch_of(0), ctx).mix.member for ctx in contexts]
