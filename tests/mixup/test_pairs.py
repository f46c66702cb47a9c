"""Partners that are gathered by the policy: the same mix as of partners that were gathered before."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samix.core import distributed
from samix.mixup import CutMix, GridMix, PairInfo, Mixup, Pairing

POLICIES = {"mixup": Mixup(), "cutmix": CutMix(), "gridmix": GridMix()}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("several", [False, True], ids=["batch", "sample"])
@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 4), h=st.integers(1, 12), w=st.integers(1, 12), seed=st.integers(0, 999))
def test_partners_gathered_late(name, several, n, h, w, seed):
    policy, noise = POLICIES[name], torch.Generator().manual_seed(seed)
    images, others = torch.rand(2, n, 3, h, w, generator=noise)
    kept = images.clone(), others.clone()
    index = torch.randperm(n, generator=noise)
    lam = np.random.default_rng(seed).random(n) if several else seed / 999
    late = policy.pairs(
        images, others, Pairing(index), lam, generator=np.random.default_rng(1), guides=PairInfo()
    )
    before = policy(images, others[index], lam, generator=np.random.default_rng(1), guides=PairInfo())
    assert torch.equal(late.images, before.images)
    assert torch.equal(torch.as_tensor(late.lam), torch.as_tensor(before.lam))
    assert late.mask is before.mask is None or torch.equal(late.mask, before.mask)
    assert torch.equal(images, kept[0]) and torch.equal(others, kept[1])


def test_only_the_box_travels(monkeypatch):
    sent = []
    monkeypatch.setattr(distributed, "all_gather", lambda x: sent.append(x.shape) or x)
    images, generator = torch.rand(2, 3, 16, 16), np.random.default_rng(0)
    out = CutMix().pairs(
        images, images, Pairing(torch.tensor([1, 0])), 0.8, generator=generator, guides=PairInfo()
    )
    (shape,) = sent
    assert shape[2] * shape[3] == pytest.approx((1 - out.lam) * 256) and 0 < out.lam < 1
