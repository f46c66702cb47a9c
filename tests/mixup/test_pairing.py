"""The partner of each image, the ratio, and the way from a batch to its mix."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.mixing import mixed_batch
from samix.mixup import (
    POLICIES,
    ImageInfo,
    Mixup,
    PairInfo,
    Pairing,
    Policy,
    blend,
    draw_lam,
    draw_local_pairing,
    draw_pairing,
)
from samix.mixup.policy import two_parents
from samix.objectives import InstanceTargets


def generator_of(seed):
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=200)
@given(n=st.integers(2, 40), seed=st.integers(0, 2**40))
def test_nobody_meets_itself(n, seed):
    index = draw_pairing(n, generator_of(seed)).index
    assert sorted(index.tolist()) == list(range(n))
    assert not (index == torch.arange(n)).any()


@pytest.mark.parametrize(("n", "derangements"), [(2, 1), (3, 2), (4, 9)])
def test_every_derangement_comes_up_equally_often(n, derangements):
    draws = Counter(tuple(draw_pairing(n, generator_of(seed)).index.tolist()) for seed in range(1800))
    assert len(draws) == derangements
    assert stats.chisquare(list(draws.values())).pvalue > 1e-4 or derangements == 1


@pytest.mark.parametrize("n", [2, 3, 7])
def test_cyclic_shift_after_ten_draws(monkeypatch, n):
    """Where no permutation is free of fixed points, a shift by 1..n-2 (1 for two images) is taken."""
    draws = []

    def identity(total, generator):
        draws.append(total)
        return torch.arange(total)

    monkeypatch.setattr(torch, "randperm", identity)
    shifts = set()
    for seed in range(60):
        index = draw_pairing(n, generator_of(seed)).index
        steps = (torch.arange(n) - index) % n
        assert steps.unique().numel() == 1
        shifts.add(steps[0].item())
    assert len(draws) == 600
    assert shifts == set(range(1, max(2, n - 1)))


def test_one_image_has_no_partner():
    with pytest.raises(ValueError, match="two images"):
        draw_pairing(1, generator_of(0))


def test_same_generator_same_pairs():
    assert torch.equal(draw_pairing(9, generator_of(5)).index, draw_pairing(9, generator_of(5)).index)


def test_partners_of_tensors_and_named_tuples():
    pairing = Pairing(torch.tensor([2, 0, 1]))
    x = torch.arange(6.0).view(3, 2)
    assert pairing.select(x).tolist() == [[4, 5], [0, 1], [2, 3]]
    partners = pairing.select(InstanceTargets(x, torch.tensor([7, 8, 9])))
    assert isinstance(partners, InstanceTargets)
    assert partners.keys.tolist() == pairing.select(x).tolist()
    assert partners.index.tolist() == [9, 7, 8]


def test_partners_of_nothing_and_of_nested_tuples():
    pairing = Pairing(torch.tensor([1, 0]))
    assert pairing.select(None) is None
    nested = pairing.select(PairInfo(ImageInfo(None, torch.tensor([3, 4])), ImageInfo(torch.tensor([5, 6]))))
    assert nested.first.maps is None and nested.first.labels.tolist() == [4, 3]
    assert nested.second.maps.tolist() == [6, 5] and nested.second.labels is None


@pytest.mark.parametrize("no_repeat", [True, False])
def test_local_pairs(no_repeat):
    """Supervised mixup permutes freely: 9 of the 24 permutations of four have no fixed point."""
    orders = [draw_local_pairing(4, generator_of(seed), no_repeat=no_repeat) for seed in range(600)]
    assert not any(pairing.everywhere for pairing in orders)
    assert all(sorted(pairing.index.tolist()) == [0, 1, 2, 3] for pairing in orders)
    draws = Counter(tuple(pairing.index.tolist()) for pairing in orders)
    assert len(draws) == (9 if no_repeat else 24)
    assert stats.chisquare(list(draws.values())).pvalue > 1e-4


def test_one_image_may_meet_itself_where_repeats_are_allowed():
    assert draw_local_pairing(1, generator_of(0), no_repeat=False).index.tolist() == [0]
    with pytest.raises(ValueError, match="two images"):
        draw_local_pairing(1, generator_of(0), no_repeat=True)


def test_local_pairs_stay_on_their_rank(monkeypatch):
    """Rank 1 of 2: the global pairing gathers, the local one does not."""
    monkeypatch.setattr("samix.core.distributed.all_gather", lambda x: torch.cat([x - 10, x]))
    x, index = torch.tensor([10, 11, 12]), torch.tensor([1, 2, 0])
    assert Pairing(index, everywhere=False).select(x).tolist() == [11, 12, 10]
    assert Pairing(index).select(x).tolist() == [1, 2, 0]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_lam_follows_its_beta_distribution(alpha):
    generator = np.random.default_rng(0)
    draws = [draw_lam(alpha, generator) for _ in range(3000)]
    assert all(isinstance(lam, float) and 0 <= lam <= 1 for lam in draws)
    assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_blend_weighs_the_first_by_the_mask():
    first, second, mask = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5), torch.rand(2, 1, 4, 5)
    out = blend(first, second, mask)
    for n, c, y, x in np.ndindex(2, 3, 4, 5):
        s = mask[n, 0, y, x].item()
        want = s * first[n, c, y, x].item() + (1 - s) * second[n, c, y, x].item()
        assert out[n, c, y, x].item() == pytest.approx(want, abs=1e-6)


def test_blend_keeps_the_images_type():
    first, second = torch.rand(2, 1, 3, 2, 2).bfloat16()
    assert blend(first, second, torch.rand(1, 1, 2, 2)).dtype == torch.bfloat16


class Spy(Policy):
    """Remembers what it was given."""

    def draw(self, rng, lam, shape):
        self.drawn = rng, lam, shape
        return torch.full((2, shape.images), lam)

    def forward(self, images, others, pairing, draws, info):
        self.given = images, pairing.select(others), draws, info
        return two_parents(images, pairing, draws)


class Seer(Spy):
    """Makes maps of its own: each image twice as bright."""

    def info_from(self, images, info):
        return info._replace(maps=2 * images)


KNOWN = [
    ImageInfo(),
    ImageInfo(torch.rand(3, 5, 1, 1)),
    ImageInfo(None, torch.arange(3)),
    ImageInfo(torch.rand(3, 5, 1, 1), torch.arange(3)),
]


def rows(info, index):
    return [None if part is None else part[index].tolist() for part in info]


@pytest.mark.parametrize("known", KNOWN, ids=["nothing", "maps", "labels", "both"])
def test_mix_hands_over_partners_and_information(known):
    images, index = torch.rand(3, 3, 2, 4), torch.tensor([1, 2, 0])
    spy, rng = Spy(), np.random.default_rng(0)
    out = mixed_batch(spy, images, 0.3, rng, index=index, info=known)
    assert spy.drawn[0] is rng and spy.drawn[1:] == (0.3, (3, 2, 4, None, ()))
    first, second, draws, info = spy.given
    assert torch.equal(first, images) and torch.equal(second, images[index])
    assert torch.equal(draws, torch.full((2, 3), 0.3)) and out.index.tolist() == [[0, 1, 2], [1, 2, 0]]
    assert isinstance(info, PairInfo) and isinstance(info.second, ImageInfo)
    assert rows(info.first, slice(None)) == rows(known, slice(None))
    assert rows(info.second, slice(None)) == rows(known, index)


def test_partners_may_come_from_another_view():
    (images, others), index = torch.rand(2, 3, 3, 2, 2), torch.tensor([1, 2, 0])
    known, of_others, spy = KNOWN[3], ImageInfo(torch.rand(3, 5, 1, 1), torch.arange(3, 6)), Spy()
    mixed_batch(spy, images, 0.3, index=index, info=known, others=(others, of_others))
    first, second, _, info = spy.given
    assert torch.equal(first, images) and torch.equal(second, others[index])
    assert rows(info.first, slice(None)) == rows(known, slice(None))
    assert rows(info.second, slice(None)) == rows(of_others, index)


def test_a_policy_may_find_information_by_itself():
    (images, others), index, seer = torch.rand(2, 3, 3, 2, 2), torch.tensor([1, 2, 0]), Seer()
    mixed_batch(seer, images, 0.3, index=index, info=KNOWN[3])
    info = seer.given[-1]
    assert torch.equal(info.first.maps, 2 * images) and torch.equal(info.second.maps, 2 * images[index])
    assert info.second.labels.tolist() == [1, 2, 0]
    mixed_batch(seer, images, 0.3, index=index, others=(others, ImageInfo()))
    info = seer.given[-1]
    assert torch.equal(info.first.maps, 2 * images) and torch.equal(info.second.maps, 2 * others[index])


def test_mix_of_mixup():
    images = torch.rand(3, 3, 2, 2)
    out = mixed_batch(Mixup(), images, 0.3, index=torch.tensor([1, 2, 0]))
    torch.testing.assert_close(out.images, 0.3 * images + 0.7 * images[[1, 2, 0]])


def test_table_of_policies():
    assert {"mixup", "cutmix", "samix", "samix_p"} <= set(POLICIES)
    assert all(issubclass(policy, Policy) for policy in POLICIES.values())


def test_partners_keep_the_layout_of_maps():
    maps = torch.randn(4, 6, 5, 3)
    index = torch.tensor([2, 0, 3, 1])
    for layout in (torch.contiguous_format, torch.channels_last):
        given = maps.to(memory_format=layout)
        found = Pairing(index).select(given)
        assert torch.equal(found, maps[index]) and found.stride() == given.stride()
