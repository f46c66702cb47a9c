"""Inter-Intra mixup sample by sample."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers.mixing import lam_of, mixed_pairs
from samix.core.errors import ConfigError
from samix.mixup import CutMix, ImageInfo, InterIntra, PairInfo


def info_of(first, second):
    return PairInfo(ImageInfo(labels=torch.as_tensor(first)), ImageInfo(labels=torch.as_tensor(second)))


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    h=st.integers(1, 12),
    w=st.integers(1, 12),
    lam=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    seed=st.integers(0, 1000),
    pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=6),
)
def test_each_pair_by_its_own_labels(h, w, lam, seed, pairs):
    one, two = zip(*pairs, strict=True)
    first, second = torch.rand(2, len(pairs), 3, h, w, generator=torch.Generator().manual_seed(seed))
    out = mixed_pairs(InterIntra(), first, second, lam, seed, info=info_of(one, two))
    rng = np.random.default_rng(seed)
    lam_intra = rng.beta(0.2, 0.2)
    cut = mixed_pairs(CutMix(), first, second, lam, rng)
    for n, (a, b) in enumerate(pairs):
        if a == b:
            want, share, mask = lam_intra * first[n] + (1 - lam_intra) * second[n], lam_intra, None
        else:
            want, share, mask = cut.images[n], lam_of(cut), cut.mask[n]
        torch.testing.assert_close(out.images[n], want, atol=1e-6, rtol=0)
        assert out.weights[:, n].tolist() == pytest.approx([share, 1 - share], abs=1e-6)
        expected = torch.full((1, h, w), lam_intra) if mask is None else mask
        torch.testing.assert_close(out.mask[n], expected.float(), atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.2, 1.5])
def test_lam_within_a_cluster_follows_its_own_distribution(alpha):
    pair = torch.zeros(2, 1, 3, 2, 2)
    policy, same = InterIntra(alpha), info_of([1], [1])
    lams = [mixed_pairs(policy, *pair, 0.5, seed, info=same).weights[0].item() for seed in range(800)]
    assert stats.kstest(lams, stats.beta(alpha, alpha).cdf).pvalue > 1e-4


def test_labels_are_needed():
    pair = torch.zeros(2, 2, 3, 2, 2)
    assert InterIntra().requires == {"labels"}
    for missing in (
        PairInfo(),
        PairInfo(ImageInfo(labels=torch.zeros(2))),
        PairInfo(ImageInfo(), ImageInfo(labels=torch.zeros(2))),
    ):
        with pytest.raises(ValueError, match="labels"):
            mixed_pairs(InterIntra(), *pair, 0.5, info=missing)


def test_alpha_must_be_positive():
    with pytest.raises(ConfigError, match="alpha_intra"):
        InterIntra(0.0)
