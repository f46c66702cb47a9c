"""Reading ahead changes when images are decoded, and nothing else."""

import threading

import numpy as np
import pytest
import torch

from samix.core.errors import DataError
from samix.core.step import StepContext
from samix.data import LabelledBatches, MemoryStore, Normalize, ReadingStore, TwoViewBatches, iterate
from samix.data.batches import GlobalBatches
from samix.data.prefetch import DEPTH
from samix.data.readers import ArrayReader

N, BATCH, TOTAL = 22, 4, 15  # five steps per epoch
NORMALIZE = Normalize((0.0,) * 3, (1.0,) * 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), dtype=np.uint8)
LABELS = torch.arange(N) % 3
PATIENCE = 10.0


class Reader(ArrayReader):
    """Remembers what it read and in which thread; says when it has read so many batches."""

    def __init__(self, bad=None):
        super().__init__(PIXELS, np.arange(N), 8)
        self.calls, self.threads, self.bad = [], [], bad
        self.changed = threading.Condition()

    def read(self, positions):
        if self.bad is not None and self.bad in list(positions):
            raise DataError(f"cannot read image {self.bad}")
        images = super().read(positions)
        with self.changed:
            self.calls.append(list(positions))
            self.threads.append(threading.current_thread())
            self.changed.notify_all()
        return images

    def wait_for(self, calls):
        with self.changed:
            return self.changed.wait_for(lambda: len(self.calls) >= calls, PATIENCE)


def context(step, rank=0, world_size=1, total=TOTAL):
    epoch = step // 5
    return StepContext(0, step, total, epoch, rank=rank, world_size=world_size)


def in_memory():
    return MemoryStore(ArrayReader(PIXELS, np.arange(N), 8).read(np.arange(N)), LABELS)


def add_noise(images, generator):
    return images.float() + torch.rand(images.shape, generator=generator)


@pytest.mark.parametrize("kind", [LabelledBatches, TwoViewBatches])
@pytest.mark.parametrize("steps", [range(TOTAL), [7, 8, 3, 3, 14, 0, 12]], ids=["in order", "with jumps"])
def test_batches_are_those_of_a_store_in_memory(kind, steps):
    ahead = kind(ReadingStore(Reader(), LABELS), add_noise, BATCH, seed=1)
    memory = kind(in_memory(), add_noise, BATCH, seed=1)
    for step in steps:
        found, wanted = ahead.load(context(step)), memory.load(context(step))
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_ranks_keep_to_their_own_images():
    ahead, memory = (
        GlobalBatches(ReadingStore(Reader(), LABELS), BATCH, 1),
        GlobalBatches(in_memory(), BATCH, 1),
    )
    for step in range(3):
        for rank in (1, 0):
            ctx = context(step, rank, 2)
            assert torch.equal(ahead.read(ctx).images, memory.read(ctx).images)


def test_the_next_batches_are_decoded_while_the_step_runs():
    reader = Reader()
    batches = GlobalBatches(ReadingStore(reader, LABELS), BATCH, 1)
    batches.read(context(4))  # the last of an epoch
    assert reader.wait_for(1 + DEPTH)  # before they are requested
    wanted = [batches.positions(context(step)).tolist() for step in range(4, 5 + DEPTH)]
    assert reader.calls == wanted
    assert threading.main_thread() not in reader.threads
    batches.read(context(5))
    assert reader.wait_for(2 + DEPTH)
    assert reader.calls[1 + DEPTH :] == [batches.positions(context(5 + DEPTH)).tolist()]  # nothing twice


def test_nothing_is_read_beyond_the_end_of_training():
    reader = Reader()
    batches = GlobalBatches(ReadingStore(reader, LABELS), BATCH, 1)
    for step in range(3):
        batches.read(context(step, total=3))
    batches._ahead._pool.shutdown(wait=True)
    assert len(reader.calls) == 3


def test_an_error_comes_at_the_step_whose_image_it_is():
    order = GlobalBatches(in_memory(), BATCH, 1)
    bad = int(order.positions(context(2))[1])
    batches = GlobalBatches(ReadingStore(Reader(bad), LABELS), BATCH, 1)
    for step in range(2):
        batches.read(context(step))
    with pytest.raises(DataError, match=f"cannot read image {bad}"):
        batches.read(context(2))


@pytest.mark.parametrize("size", [1, 4, 5, 11, N, 100])
def test_a_whole_split_is_that_of_a_store_in_memory(size):
    ahead, memory = (list(iterate(s, NORMALIZE, size)) for s in (ReadingStore(Reader(), LABELS), in_memory()))
    assert [len(part) for part in ahead] == [len(part) for part in memory]
    assert torch.equal(torch.cat(ahead), torch.cat(memory))


def test_the_next_parts_of_a_split_are_decoded_while_one_is_looked_at():
    reader = Reader()
    parts = iterate(ReadingStore(reader, LABELS), NORMALIZE, BATCH)
    next(parts)
    assert reader.wait_for(1 + DEPTH)  # before they are requested
    assert reader.calls == [
        list(range(start, start + BATCH)) for start in range(0, BATCH * (1 + DEPTH), BATCH)
    ]
    assert threading.main_thread() not in reader.threads
    parts.close()
    assert len(reader.calls) == 1 + DEPTH and not reader.threads[0].is_alive()


def test_an_error_of_a_split_comes_at_its_part():
    parts = iterate(ReadingStore(Reader(bad=9), LABELS), NORMALIZE, BATCH)
    assert len(next(parts)) == len(next(parts)) == BATCH
    with pytest.raises(DataError, match="cannot read image 9"):
        next(parts)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_images_for_a_gpu_are_pinned():
    store = ReadingStore(Reader(), LABELS).to("cuda")
    assert store.read(torch.arange(3)).is_pinned()
    assert torch.equal(store.fetch(torch.arange(3)).cpu(), in_memory().fetch(torch.arange(3)))
