"""The queue against a list."""

import torch

from samix.nn import KeyQueue


def queue_of(size=7, seed=0):
    return KeyQueue(size, 3, torch.Generator().manual_seed(seed))


def test_starts_as_normalised_noise():
    queue = KeyQueue(2000, 16, torch.Generator().manual_seed(0))
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(2000))
    assert queue.keys.mean(0).abs().max() < 4 / (16 * 2000) ** 0.5  # no direction is preferred
    assert torch.equal(queue_of().keys, queue_of().keys)
    assert not torch.equal(queue_of().keys, queue_of(seed=1).keys)


def test_oldest_entries_go_first():
    """Batches of any size, also such that do not divide the queue."""
    queue = queue_of()
    model = list(queue.keys.clone())
    index = [-1] * 7  # noise is of no image
    oldest = 0
    for step, n in enumerate([2, 3, 4, 7, 1, 5]):
        keys = torch.full((n, 3), float(step)) + torch.arange(n)[:, None] / 10
        images = 100 * step + torch.arange(n)
        queue.enqueue(keys, images)
        for key, image in zip(keys, images.tolist(), strict=True):
            model[oldest % 7], index[oldest % 7] = key, image
            oldest += 1
        assert torch.equal(queue.keys, torch.stack(model))
        assert queue.index.tolist() == index
        assert queue.position == oldest % 7


def test_storage_and_gradient():
    queue = queue_of()
    place = queue.keys.data_ptr()
    queue.enqueue(torch.ones(2, 3, requires_grad=True), torch.arange(2))
    assert queue.keys.data_ptr() == place and not queue.keys.requires_grad


def test_state_goes_on():
    one, two = queue_of(), queue_of(seed=1)
    one.enqueue(torch.ones(5, 3), torch.arange(5))
    two.load_state_dict(one.state_dict())
    for queue in (one, two):
        queue.enqueue(torch.zeros(4, 3), torch.arange(10, 14))
    assert torch.equal(one.keys, two.keys) and one.position == two.position
    assert one.index.tolist() == two.index.tolist() == [12, 13, 2, 3, 4, 10, 11]


def test_half_precision_keys_are_stored_in_float32():
    queue = queue_of()
    queue.enqueue(torch.ones(2, 3, dtype=torch.bfloat16), torch.arange(2))
    assert queue.keys.dtype == torch.float32 and (queue.keys[:2] == 1).all()
