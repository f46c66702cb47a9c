"""The work of each of two gloo processes that share a memory's batches."""

import torch
import torch.distributed as dist

from samix.clustering.memory import ODCMemory
from samix.config.clustering import ClusteringConfig
from samix.core.distributed import local_rows, rank

SAMPLES, DIM, STEPS, BATCH = 120, 8, 12, 16
CONFIG = ClusteringConfig(clusters=6, min_cluster=8, centroid_interval=3)


def train(seed=0):
    """A memory after some steps of random features; each rank gives its rows of the global batch."""
    generator = torch.Generator().manual_seed(seed)
    memory = ODCMemory(SAMPLES, DIM, CONFIG)
    features = torch.randn(SAMPLES, DIM, generator=generator)
    memory.initialise(features + rank(), seed)  # an encoder may give other bits on other ranks
    ratios = []
    for step in range(STEPS):
        index = torch.randint(SAMPLES, (BATCH,), generator=generator)  # with repetitions, also across ranks
        features = torch.randn(BATCH, DIM, generator=generator)
        ratios.append(memory.update(local_rows(index), local_rows(features)))
        memory.maintain(step)
    return {**memory.state_dict(), "ratios": torch.stack(ratios)}


def take_over(seed=1):
    """A memory that was given features and labels, of which those of rank 0 count."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(SAMPLES, DIM, generator=generator)
    memory = ODCMemory(SAMPLES, DIM, CONFIG)
    memory.load(features + rank(), (torch.arange(SAMPLES) + rank()) % CONFIG.clusters)
    return memory.state_dict()


def drifted_labels_are_noticed():
    """Whether a memory notices that its labels are not those of the other rank."""
    memory = ODCMemory(SAMPLES, DIM, CONFIG)
    memory.labels.copy_(torch.arange(SAMPLES) % 6)
    memory.labels[5] += dist.get_rank()
    try:
        memory.require_replicas()
    except RuntimeError as error:
        return "differ between ranks" in str(error)
    return False


def all_three():
    """The results of one of two ranks."""
    return {"state": train(), "taken": take_over(), "noticed": drifted_labels_are_noticed()}
