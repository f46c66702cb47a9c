"""Momentum networks."""

import copy

import pytest
import torch
from torch import nn

from samix.nn import ema_, momentum_copy


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.999, 1.0])
def test_ema_of_each_parameter(momentum):
    target, source = network(0), network(1)
    before = copy.deepcopy(target)
    untouched = copy.deepcopy(source)
    ema_(target, source, momentum)
    for old, new, other in zip(before.parameters(), target.parameters(), source.parameters(), strict=True):
        want = momentum * old.double() + (1 - momentum) * other.double()
        torch.testing.assert_close(new.double(), want, atol=1e-7, rtol=1e-6)
    for old, new in zip(untouched.state_dict().values(), source.state_dict().values(), strict=True):
        assert torch.equal(old, new)


def test_buffers_stay():
    """The momentum network keeps its own running statistics."""
    target, source = network(0), network(1)
    source[1].running_mean.fill_(5)
    ema_(target, source, 0.0)
    assert not target[1].running_mean.any()


def test_storage_stays():
    target = network(0)
    places = [p.data_ptr() for p in target.parameters()]
    ema_(target, network(1), 0.5)
    assert [p.data_ptr() for p in target.parameters()] == places


def test_copy_is_frozen_and_apart():
    source = network(0)
    twin = momentum_copy(source)
    assert not any(p.requires_grad for p in twin.parameters())
    assert all(p.requires_grad for p in source.parameters())
    for a, b in zip(source.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(a, b) and a.data_ptr() != b.data_ptr()
