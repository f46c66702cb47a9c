"""Which policy a batch gets, and with which lam."""

import numpy as np
import pytest
import torch
from scipy import stats

from helpers.mixing import draws_of, lam_of, mixed_batch, mixed_pairs, shape_of
from samix.core.errors import ConfigError
from samix.mixup import (
    CutMix,
    GuidedMixup,
    ImageInfo,
    InterIntra,
    Mixup,
    PairInfo,
    Pairing,
    Policy,
    RandomChoice,
)
from samix.mixup.lam import pair_weights
from samix.mixup.policy import two_parents


class Spy(Policy):
    """Remembers the lams and the information that it was given."""

    def __init__(self):
        super().__init__()
        self.lams, self.info = [], []

    def info_from(self, images, info):
        return info._replace(maps=images.sum((1, 2, 3)))

    def draw(self, rng, lam, shape):
        self.lams.append(lam)
        return pair_weights(lam, shape.images)

    def forward(self, images, others, pairing, draws, info):
        self.info.append(info)
        return two_parents(images, pairing, draws)


def run(policy, times, lam=0.5):
    first, second = torch.ones(2, 3, 1, 1), torch.zeros(2, 3, 1, 1)
    rng, others = np.random.default_rng(0), (second, ImageInfo())
    return [mixed_batch(policy, first, lam, rng, index=torch.arange(2), others=others) for _ in range(times)]


def test_probabilities_and_alphas_of_each():
    spies = [Spy(), Spy(), Spy()]
    run(RandomChoice(spies, (0.3, 2.0, None), (0.2, 0.5, 0.3)), 2000, lam=0.123)
    counts = [len(spy.lams) for spy in spies]
    assert stats.chisquare(counts, [400, 1000, 600]).pvalue > 1e-4
    assert stats.kstest(spies[0].lams, stats.beta(0.3, 0.3).cdf).pvalue > 1e-4
    assert stats.kstest(spies[1].lams, stats.beta(2, 2).cdf).pvalue > 1e-4
    assert set(spies[2].lams) == {0.123}


def test_equal_probabilities_unless_told():
    spies = [Spy(), Spy(), Spy()]
    run(RandomChoice(spies, (None,) * 3), 1500)
    assert stats.chisquare([len(spy.lams) for spy in spies]).pvalue > 1e-4


def test_the_chosen_policy_sees_both_parents():
    spy = Spy()
    run(RandomChoice([spy], [None]), 1)
    (info,) = spy.info
    assert info.first.maps.tolist() == [3, 3] and info.second.maps.tolist() == [0, 0]


def test_default_is_the_recipe_of_deit():
    policy = RandomChoice()
    assert [type(member) for member in policy.policies] == [Mixup, CutMix]
    lams = [lam_of(out) for out in run(policy, 1500) if out.mask is None]
    assert stats.binomtest(len(lams), 1500).pvalue > 1e-4
    assert stats.kstest(lams, stats.beta(0.8, 0.8).cdf).pvalue > 1e-4


def test_result_is_that_of_the_chosen_policy():
    first, second = torch.rand(2, 3, 3, 8, 8)
    for seed in range(10):
        out = mixed_pairs(RandomChoice(), first, second, 0.5, seed)
        rng = np.random.default_rng(seed)
        chosen = int(rng.choice(2, p=[0.5, 0.5]))
        lam = rng.beta(*[(0.8, 0.8), (1, 1)][chosen])
        want = mixed_pairs((Mixup(), CutMix())[chosen], first, second, lam, rng)
        assert torch.equal(out.images, want.images) and torch.equal(out.weights, want.weights)


def test_what_one_needs_all_ask_for():
    assert RandomChoice().requires == frozenset()
    assert RandomChoice(["mixup", "inter_intra"], [1.0, 2.0]).requires == {"labels"}
    labels, images = ImageInfo(labels=torch.zeros(2)), torch.rand(2, 3, 8, 8)
    policy = RandomChoice([InterIntra(), GuidedMixup("sr")], [None, None])
    for seed in range(6):
        assert mixed_batch(policy, images, 0.5, seed, info=labels).mask is not None


def test_a_choice_may_hold_a_choice():
    """The outer one draws its member and lam, then the inner one its own, then the member draws."""
    inner, images = RandomChoice(("mixup", "cutmix"), (0.3, None)), torch.rand(3, 3, 8, 8)
    policy, found = RandomChoice((inner, "gridmix"), (2.0, None), (0.7, 0.3)), set()
    for seed in range(20):
        rng, lam = np.random.default_rng(seed), 0.4
        path = (int(rng.choice(2, p=[0.7, 0.3])),)
        if path == (0,):
            lam, chosen = rng.beta(2.0, 2.0), int(rng.choice(2, p=[0.5, 0.5]))
            path, lam = (0, chosen), lam if chosen else rng.beta(0.3, 0.3)
        draws = draws_of(policy, images, 0.4, seed)
        member = {(0, 0): inner.policies[0], (0, 1): inner.policies[1], (1,): policy.policies[1]}[path]
        assert draws.member == path and policy.member(path) is member
        want = mixed_batch(member, images, lam, rng)
        assert torch.equal(mixed_batch(policy, images, 0.4, seed).images, want.images)
        found.add(path)
    assert len(found) == 3


def test_a_choice_itself_neither_draws_nor_mixes():
    images, rows = torch.rand(2, 3, 4, 4), Pairing(torch.arange(2), everywhere=False)
    with pytest.raises(NotImplementedError, match="draw_policy"):
        RandomChoice().draw(np.random.default_rng(0), 0.5, shape_of(images))
    with pytest.raises(NotImplementedError, match=r"samix\.mixup\.mix"):
        RandomChoice()(images, images, rows, None, PairInfo())


def test_built_policies_are_parts_of_the_module():
    inner = torch.nn.Linear(2, 2)
    member = Mixup()
    member.add_module("inner", inner)
    assert "policies.0.inner.weight" in RandomChoice([member], [1.0]).state_dict()


def test_probabilities_may_be_rounded():
    run(RandomChoice(["mixup"] * 3, [None] * 3, [0.3333333] * 3), 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "at least one"),
        ((["mixup"], [0.5, 1.0]), "as many"),
        ((["mixup", "cutmix"], [0.5, 1.0], [1.0]), "as many"),
        ((["mixup"], [0.0]), "positive"),
        ((["mixup", "cutmix"], [1.0, 1.0], [0.6, 0.6]), "sum up to 1"),
        ((["mixup", "cutmix"], [1.0, 1.0], [1.5, -0.5]), ">= 0"),
        ((["mixpu"], [1.0]), "no policy 'mixpu'"),
    ],
)
def test_lists_that_do_not_belong_together(arguments, message):
    with pytest.raises(ConfigError, match=message):
        RandomChoice(*arguments)
