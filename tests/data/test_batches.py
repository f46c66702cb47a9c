import pytest
import torch

from samix.config.data import AugmentConfig
from samix.core.errors import ConfigError
from samix.core.step import StepContext
from samix.data import Augment, LabelledBatches, MemoryStore, Normalize, TwoViewBatches, epoch_order, iterate

N = 22
NORMALIZE = Normalize((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.fixture
def store():
    """Image i is of the single colour 10 * i, its label is i mod 3."""
    pixels = (10 * torch.arange(N, dtype=torch.uint8))[:, None, None, None].expand(N, 3, 8, 8).clone()
    return MemoryStore(pixels, torch.arange(N) % 3)


def _context(step, rank=0, world_size=1):
    return StepContext(seed=5, step=step, total_steps=100, epoch=0, rank=rank, world_size=world_size)


def _augment():
    return Augment(AugmentConfig(), 8, (0.5,) * 3, (0.5,) * 3)


def test_epoch_order_is_a_permutation_of_seed_and_epoch_alone():
    order = epoch_order(50, 1, 2)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(50))
    torch.manual_seed(99)
    assert torch.equal(order, epoch_order(50, 1, 2))
    assert not torch.equal(order, epoch_order(50, 1, 3))
    assert not torch.equal(order, epoch_order(50, 2, 2))


def test_an_epoch_visits_images_once_and_drops_the_remainder(store):
    batches = LabelledBatches(store, NORMALIZE, 4, seed=0)
    assert batches.steps_per_epoch == 5
    for epoch in range(2):
        seen = torch.cat([batches.load(_context(5 * epoch + step)).index for step in range(5)])
        assert torch.equal(seen, epoch_order(N, 0, epoch)[:20])


def test_images_labels_and_positions_belong_together(store):
    batch = LabelledBatches(store, NORMALIZE, 6, seed=0).load(_context(1))
    assert torch.equal(batch.labels, batch.index % 3)
    torch.testing.assert_close(batch.images[:, 0, 0, 0] * 255, (10 * batch.index).float())


def test_loading_is_a_pure_function_of_the_step(store):
    first = TwoViewBatches(store, _augment(), 4, seed=0)
    for step in (0, 7, 3, 12):
        again = TwoViewBatches(store, _augment(), 4, seed=0).load(_context(step))
        assert all(torch.equal(a, b) for a, b in zip(first.load(_context(step)), again, strict=True))


def test_ranks_partition_the_global_batch_in_rank_order(store):
    batches = TwoViewBatches(store, _augment(), 8, seed=0)
    whole = batches.load(_context(1))
    parts = [batches.load(_context(1, rank, 4)) for rank in range(4)]
    assert torch.equal(torch.cat([part.index for part in parts]), whole.index)
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
    # Ranks draw from streams of their own: equal draws would correlate the views across ranks.
    raw = store.fetch(parts[1].index)
    assert torch.equal(parts[1].view_q, _augment()(raw, _context(1, 1, 4).generator("augment_q")))
    assert not torch.equal(parts[1].view_q, _augment()(raw, _context(1, 0, 4).generator("augment_q")))


def test_views_come_from_their_own_streams():
    noise = torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8)
    batches = TwoViewBatches(MemoryStore(noise, torch.zeros(8, dtype=torch.int64)), _augment(), 8, seed=0)
    ctx = _context(0)
    batch = batches.load(ctx)
    raw = noise[batch.index]
    assert torch.equal(batch.view_q, _augment()(raw, ctx.generator("augment_q")))
    assert torch.equal(batch.view_k, _augment()(raw, ctx.generator("augment_k")))
    assert not torch.allclose(batch.view_q, batch.view_k)


def test_a_batch_larger_than_the_store_is_refused(store):
    with pytest.raises(ConfigError, match=r"batch_size=23 .* 22 images"):
        TwoViewBatches(store, _augment(), 23, seed=0)


def test_a_batch_that_ranks_cannot_share_is_refused(store):
    with pytest.raises(ConfigError, match=r"batch_size=6 .* 4 processes"):
        TwoViewBatches(store, _augment(), 6, seed=0).load(_context(0, 0, 4))


def test_iterate_walks_the_store_in_order_to_its_last_image(store):
    parts = list(iterate(store, NORMALIZE, 8))
    assert [len(part) for part in parts] == [8, 8, 6]
    torch.testing.assert_close(torch.cat(parts), store.pixels / 255)
