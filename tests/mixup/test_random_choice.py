"""Which policy a batch gets, and with which lam."""

import numpy as np
import pytest
import torch
from scipy import stats

from samix.core.errors import ConfigError
from samix.mixup import CutMix, GuidedMixup, PairInfo, InterIntra, Mixed, Mixup, Policy, RandomChoice, ImageInfo


class Spy(Policy):
    """Remembers the lams and guides that it was given."""

    def __init__(self):
        super().__init__()
        self.lams, self.guides = [], []

    def see(self, images, seen):
        return seen._replace(maps=images.sum((1, 2, 3)))

    def forward(self, first, second, lam, *, generator, guides):
        self.lams.append(lam)
        self.guides.append(guides)
        return Mixed(first, lam)


def run(policy, times, lam=0.5):
    first, second = torch.ones(2, 3, 1, 1), torch.zeros(2, 3, 1, 1)
    generator = np.random.default_rng(0)
    return [policy(first, second, lam, generator=generator, guides=PairInfo()) for _ in range(times)]


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
    guides = spy.guides[0]
    assert guides.first.maps.tolist() == [3, 3] and guides.second.maps.tolist() == [0, 0]


def test_default_is_the_recipe_of_deit():
    policy = RandomChoice()
    assert [type(member) for member in policy.policies] == [Mixup, CutMix]
    lams = [out.lam for out in run(policy, 1500) if out.mask is None]
    assert stats.binomtest(len(lams), 1500).pvalue > 1e-4
    assert stats.kstest(lams, stats.beta(0.8, 0.8).cdf).pvalue > 1e-4


def test_result_is_that_of_the_chosen_policy():
    first, second = torch.rand(2, 3, 3, 8, 8)
    for seed in range(10):
        out = RandomChoice()(first, second, 0.5, generator=np.random.default_rng(seed), guides=PairInfo())
        rng = np.random.default_rng(seed)
        chosen = int(rng.choice(2, p=[0.5, 0.5]))
        lam = rng.beta(*[(0.8, 0.8), (1, 1)][chosen])
        want = (Mixup(), CutMix())[chosen](first, second, lam, generator=rng, guides=PairInfo())
        assert torch.equal(out.images, want.images) and out.lam == want.lam


def test_what_one_needs_all_ask_for():
    assert RandomChoice().requires == frozenset()
    assert RandomChoice(["mixup", "inter_intra"], [1.0, 2.0]).requires == {"labels"}
    labels = PairInfo(ImageInfo(labels=torch.zeros(2)), ImageInfo(labels=torch.zeros(2)))
    pair = torch.rand(2, 2, 3, 8, 8)
    policy = RandomChoice([InterIntra(), GuidedMixup("sr")], [None, None])
    for seed in range(6):
        assert policy(*pair, 0.5, generator=np.random.default_rng(seed), guides=labels).mask is not None


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
