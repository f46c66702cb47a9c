"""No training step waits for its device: on a GPU that would leave it idle while the host catches up.

The meta device takes the place of the GPU. It has no values, so an operator that reads one raises; draws on
the host may read their own. Copies to it must not block. The same steps on the CPU, where
there are values, count the operators that read them.
"""

import dataclasses
from contextlib import nullcontext

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import tiny_moco, tiny_supervised
from helpers.steps import step_of as step
from samix.config.data import AugmentConfig, SupervisedAugmentConfig
from samix.data import Augment, MemoryStore, Normalize, SupervisedAugment
from samix.data.batches import GlobalBatches

pytestmark = pytest.mark.slow

aten = torch.ops.aten
READS = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten.bincount.default,
    aten._unique2.default,
    aten.repeat_interleave.Tensor,
}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
COPIES = {aten._to_copy.default, aten.copy_.default}


class Waits(TorchDispatchMode):
    """Lists the operators, forward and backward, for which a host would wait for its GPU.

    A copy counts if it is from one device to the other and blocks.
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in READS or (func in INDEXING and _by_mask(args[1])):
            self.found.append(str(func))
        elif func in COPIES:
            source = args[1] if func is aten.copy_.default else args[0]
            blocking = not (kwargs.get("non_blocking") or (func is aten.copy_.default and True in args[2:]))
            if blocking and source.device != result.device:
                self.found.append(str(func))
        return result


def _by_mask(indices):
    return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices)


def hosts():
    """Every host and its batches, by name."""
    found = {f"supervised {kind}": (tiny_supervised, {"kind": kind}) for kind in tiny_supervised.KINDS}
    found["supervised samix, off at times"] = (
        tiny_supervised,
        {"kind": "samix", "training": {"switch_off": 0.5}, "no_repeat": True, "plain_mix": True},
    )
    found |= {f"moco {kind}": (tiny_moco, {"kind": kind}) for kind in tiny_moco.KINDS}
    found["moco samix_p"] = (tiny_moco, {"kind": "none", "policy": tiny_moco.with_samix_p})
    found["moco cluster, online"] = (tiny_moco, {"kind": "cluster", "labels": "online"})
    found["moco instance, filtered"] = (
        tiny_moco,
        {"kind": "instance", "labels": "fixed", "filter_negatives": True},
    )
    return found


HOSTS = hosts()


class Steps:
    """A host on a device, ready to take whole steps; the batches are there already."""

    def __init__(self, name, device, steps=3):
        module, options = HOSTS[name]
        options = dict(options)
        policy = options.pop("policy", lambda learner: learner)
        self.learner = policy(module.learner_of(**options)).train().to(device)
        self.optimizers = [
            torch.optim.SGD([p for m in s.modules for p in m.parameters()], 0.01, momentum=0.9, foreach=True)
            for s in self.learner.parameter_sets().values()
        ]
        self.batches = [type(b)(*(t.to(device) for t in b)) for b in map(module.batch_of, range(steps))]
        self.contexts = [
            dataclasses.replace(module.context(s), device=torch.device(device)) for s in range(steps)
        ]

    def run(self):
        for batch, ctx in zip(self.batches, self.contexts, strict=True):
            step(self.learner, batch, ctx)["loss"].backward()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            self.learner.after_step(ctx)


def waits_of(run):
    """Operators that waited."""
    with Waits() as waits:
        run()
    return waits.found


@pytest.fixture
def meta(monkeypatch):
    """The meta device, which autocast does not know; nothing is cast here."""
    autocast = torch.autocast

    def quiet(device_type, *args, **kwargs):
        return nullcontext() if device_type == "meta" else autocast(device_type, *args, **kwargs)

    monkeypatch.setattr(torch, "autocast", quiet)
    return "meta"


@pytest.mark.parametrize("name", HOSTS)
def test_no_step_waits_for_a_device_without_values(name, meta):
    assert waits_of(Steps(name, meta).run) == []


@pytest.mark.parametrize("name", HOSTS)
def test_no_step_reads_a_value(name):
    assert waits_of(Steps(name, "cpu").run) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("name", HOSTS)
def test_no_step_waits_for_a_gpu(name):
    steps = Steps(name, "cuda")
    steps.run()  # first kernels and cuDNN's choices
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps.run()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_small_clusters_are_looked_for_with_one_wait(monkeypatch):
    """The one exception: which clusters are small decides what is done, and the host has to know."""
    steps = Steps("moco cluster, online", "cpu")
    memory = steps.learner.labels.memory
    memory.config = memory.config.model_copy(update={"small_cluster_interval": 1})
    memory.min_cluster = 0
    lists, tolist = [], torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: lists.append(tolist(x)) or lists[-1])
    assert waits_of(steps.run) == []
    sizes = [found for found in lists if len(found) == tiny_moco.CLUSTERS]
    assert len(sizes) == len(steps.batches)


def test_fetching_a_batch_from_memory_does_not_wait(meta):
    store = MemoryStore(torch.zeros(9, 3, 8, 8, dtype=torch.uint8), torch.zeros(9, dtype=torch.long)).to(meta)
    batches = GlobalBatches(store, 4, seed=0)
    ctx = dataclasses.replace(tiny_moco.context(1), device=torch.device(meta))
    assert waits_of(lambda: batches.read(ctx)) == []


@pytest.mark.parametrize("kind", ["two views", "supervised"])
def test_augmentation_reads_no_value(kind):
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    statistics = [0.5] * 3, [0.2] * 3
    # not RandAugment, which is timm's and works on the host, image by image
    config = SupervisedAugmentConfig(crop="resized", erasing=0.5, brightness=0.4)
    augment = {
        "two views": Augment(AugmentConfig(), 16, *statistics),
        "supervised": SupervisedAugment(config, 16, Normalize(*statistics)),
    }[kind]
    assert waits_of(lambda: augment(images, torch.Generator().manual_seed(0))) == []


X = torch.arange(4.0)
READERS = {
    "item": lambda x: x.sum().item(),
    "if": lambda x: bool((x > 1).any()),
    "nonzero": lambda x: x.nonzero(),
    "boolean index": lambda x: x[x > 1],
    "write by a boolean index": lambda x: x.index_put_((x > 1,), torch.ones(2, device=x.device)),
    "masked_select": lambda x: x.masked_select(x > 1),
    "bincount": lambda x: x.long().bincount(minlength=4),
    "unique": lambda x: x.unique(),
}


@pytest.mark.parametrize("name", READERS)
def test_the_counter_sees_what_reads_values(name):
    assert waits_of(lambda: READERS[name](X.clone()))


HIDDEN = {"list": torch.Tensor.tolist, "numpy": lambda x: x.numpy(), "to the host": torch.Tensor.cpu}


@pytest.mark.parametrize("name", HIDDEN)
def test_the_meta_device_refuses_what_no_operator_tells(name):
    with pytest.raises((RuntimeError, NotImplementedError, TypeError)):
        HIDDEN[name](X.to("meta"))


def test_a_copy_to_the_device_must_not_block():
    assert waits_of(lambda: X.to("meta"))
    assert waits_of(lambda: torch.empty(4, device="meta").copy_(X))
    assert not waits_of(lambda: X.to("meta", non_blocking=True))
    assert not waits_of(lambda: torch.empty(4, device="meta").copy_(X, non_blocking=True))
