"""Momentum networks."""

import copy

import pytest
import torch
from torch import nn

from samix.nn import ema_, frozen_copy


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


@pytest.mark.parametrize("m", [0.0, 0.9, 0.999, 1.0])
def test_ema_of_each_parameter(m):
    target, source = network(0), network(1)
    before = copy.deepcopy(target)
    untouched = copy.deepcopy(source)
    ema_(target, source, m)
    for old, new, other in zip(before.parameters(), target.parameters(), source.parameters(), strict=True):
        want = m * old.double() + (1 - m) * other.double()
        torch.testing.assert_close(new.double(), want, atol=1e-7, rtol=1e-6)
    for old, new in zip(untouched.state_dict().values(), source.state_dict().values(), strict=True):
        assert torch.equal(old, new)


def test_buffers_stay():
    """The momentum network keeps its own running statistics."""
    target, source = network(0), network(1)
    source[1].running_mean.fill_(5)
    ema_(target, source, 0.0)
    assert not target[1].running_mean.any()


@pytest.mark.parametrize("m", [0.0, 0.9, 1.0])
def test_buffers_follow_where_that_is_asked_for(m):
    """Statistics are averaged like weights; a counter, which has no average, is taken over."""
    target, source = network(0), network(1)
    for net, shift in ((target, 1.0), (source, 3.0)):
        net(torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * shift + shift)
    source(torch.randn(8, 3, 4, 4))
    before = copy.deepcopy(target)
    ema_(target, source, m, buffers=True)
    pairs = zip(before.state_dict().items(), target.state_dict().values(), strict=True)
    for (name, old), new in pairs:
        other = source.state_dict()[name]
        if name.endswith("num_batches_tracked"):
            assert new == other == 2
        else:
            want = m * old.double() + (1 - m) * other.double()
            torch.testing.assert_close(new.double(), want, atol=1e-6, rtol=1e-5)
    assert not torch.equal(before[1].running_mean, source[1].running_mean)


def test_storage_stays():
    target = network(0)
    places = [p.data_ptr() for p in target.parameters()]
    ema_(target, network(1), 0.5)
    assert [p.data_ptr() for p in target.parameters()] == places


def test_copy_is_frozen_and_apart():
    source = network(0)
    twin = frozen_copy(source)
    assert not any(p.requires_grad for p in twin.parameters())
    assert all(p.requires_grad for p in source.parameters())
    for a, b in zip(source.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(a, b) and a.data_ptr() != b.data_ptr()
