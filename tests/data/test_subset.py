import numpy as np
import pytest

from samix.core.errors import ConfigError
from samix.data.subset import class_quota, limited, stratified_split, stratified_subset

LABELS = np.repeat([0, 1, 2], [50, 30, 1])


def test_split_takes_its_share_of_every_class():
    split = stratified_split(LABELS, 0.2, seed=0)
    assert [(split[label == LABELS] == "test").sum() for label in range(3)] == [10, 6, 0]


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_split_leaves_an_image_on_either_side(fraction):
    split = stratified_split(np.array([0, 0, 0, 1, 1]), fraction, seed=0)
    for members in (split[:3], split[3:]):
        assert set(members) == {"train", "test"}


def test_split_depends_on_the_seed_alone():
    assert (stratified_split(LABELS, 0.2, 0) == stratified_split(LABELS, 0.2, 0)).all()
    assert (stratified_split(LABELS, 0.2, 0) != stratified_split(LABELS, 0.2, 1)).any()


@pytest.mark.parametrize("total", [3, 10, 41, 80, 81])
def test_quota_sums_up_stays_below_the_counts_and_keeps_every_class(total):
    counts = np.array([50, 30, 1])
    quota = class_quota(counts, total)
    assert quota.sum() == total
    assert (quota >= 1).all() and (quota <= counts).all()
    assert abs(quota[0] - total * 50 / 81) < 2


def test_equal_classes_share_equally():
    assert class_quota(np.array([500] * 100), 1000).tolist() == [10] * 100


def test_subset_is_sorted_unique_and_random():
    first = stratified_subset(LABELS, 20, np.random.default_rng(0))
    assert len(set(first.tolist())) == 20
    assert (np.diff(first) > 0).all()
    assert (first != stratified_subset(LABELS, 20, np.random.default_rng(1))).any()


def test_limit_keeps_test_in_proportion_and_every_class():
    labels = np.concatenate([np.repeat(np.arange(4), 25), np.repeat(np.arange(4), 5)])
    split = np.repeat(["train", "test"], [100, 20])
    kept = limited(labels, split, 40, seed=0)
    assert [(kept < 100).sum(), (kept >= 100).sum()] == [40, 8]
    few = limited(labels, split, 4, seed=0)
    assert sorted(labels[few[few < 100]]) == sorted(labels[few[few >= 100]]) == [0, 1, 2, 3]
    assert (kept == limited(labels, split, 40, seed=0)).all()
    other = limited(labels, split, 40, seed=1)
    assert (kept[:40] != other[:40]).any() and (kept[40:] != other[40:]).any()


@pytest.mark.parametrize(
    ("limit", "message"), [(3, "limit=3 .* 4 classes"), (101, "limit=101.* 100 training")]
)
def test_a_limit_that_cannot_be_met_names_the_number(limit, message):
    labels = np.concatenate([np.repeat(np.arange(4), 25), np.arange(4)])
    with pytest.raises(ConfigError, match=message):
        limited(labels, np.repeat(["train", "test"], [100, 4]), limit, seed=0)


def test_limit_keeps_unlabelled_images_in_proportion():
    labels = np.concatenate([np.arange(20) % 2, np.arange(10) % 2, np.full(50, -1)])
    split = np.repeat(["train", "test", "unlabelled"], [20, 10, 50])
    kept = limited(labels, split, 8, seed=0)
    assert [(split[kept] == name).sum() for name in ("train", "test", "unlabelled")] == [8, 4, 20]
