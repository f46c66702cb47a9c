"""Partners that are selected by the policy: the same mix as of partners that were selected before."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.mixing import draws_of, mixed_batch, mixed_pairs
from samix.core import distributed
from samix.mixup import CutMix, GridMix, ImageInfo, Mixup, Pairing, ResizeMix, mix

POLICIES = {"mixup": Mixup(), "cutmix": CutMix(), "gridmix": GridMix(), "resizemix": ResizeMix()}


@pytest.mark.slow
@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("several", [False, True], ids=["batch", "sample"])
@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 4), h=st.integers(1, 12), w=st.integers(1, 12), seed=st.integers(0, 999))
def test_partners_selected_late(name, several, n, h, w, seed):
    policy, noise = POLICIES[name], torch.Generator().manual_seed(seed)
    images, others = torch.rand(2, n, 3, h, w, generator=noise)
    kept = images.clone(), others.clone()
    index = torch.randperm(n, generator=noise)
    lam = np.random.default_rng(seed).random(n) if several else seed / 999
    late = mixed_batch(policy, images, lam, 1, index=index, others=(others, ImageInfo()))
    before = mixed_pairs(policy, images, others[index], lam, 1)
    assert torch.equal(late.images, before.images) and torch.equal(late.weights, before.weights)
    assert late.mask is before.mask is None or torch.equal(late.mask, before.mask)
    assert torch.equal(late.index, torch.stack([torch.arange(n), index]))
    assert torch.equal(images, kept[0]) and torch.equal(others, kept[1])


@pytest.mark.parametrize("name", POLICIES)
def test_ranks_gather_tensors_of_equal_shapes(name, monkeypatch):
    """Whatever they draw: partners of all ranks are gathered whole, though each rank has its own box."""
    sent = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_gather", lambda x: sent.append(x.shape) or x)
    images = torch.rand(2, 3, 16, 16)
    for seed in range(4):
        draws = draws_of(POLICIES[name], images, 0.8, seed)._replace(pairing=Pairing(torch.tensor([1, 0])))
        mix(POLICIES[name], images, draws)
    assert sent == [images.shape] * 4


def test_one_process_selects_only_the_box(monkeypatch):
    """Pairings of all ranks and of this one are the same then: CutMix copies no more than its box."""
    sent = []
    monkeypatch.setattr(distributed, "all_gather", lambda x: sent.append(x.shape) or x)
    images = torch.rand(2, 3, 16, 16)
    draws = draws_of(CutMix(), images, 0.8, 0)._replace(pairing=Pairing(torch.tensor([1, 0])))
    mixed = mix(CutMix(), images, draws)
    (shape,) = sent
    assert shape == images[draws.policy.host.value.at].shape and shape[2] * shape[3] < 256
    torch.testing.assert_close(mixed.images, torch.where(mixed.mask.bool(), images, images.flip(0)))
