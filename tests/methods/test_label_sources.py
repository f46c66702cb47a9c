"""Labels that a self-supervised host uses: fixed ones and clusters that follow the keys."""

import pytest
import torch

from samix.clustering.memory import ODCMemory
from samix.config.clustering import ClusteringConfig
from samix.methods.labels import FixedLabels, OnlineLabels

LABELS = torch.tensor([0, 0, 2, 1, 2, 0, 0, 2])


def online(**options):
    memory = ODCMemory(8, 4, ClusteringConfig(**{"clusters": 3, "min_cluster": 1, **options}))
    memory.load(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), LABELS)
    return OnlineLabels(memory)


@pytest.mark.parametrize("source", [FixedLabels(LABELS, 3), online()], ids=["fixed", "online"])
def test_labels_of_images_and_of_nobody(source):
    """-1 is noise in the queue: its label is unknown, and not that of the last image."""
    assert source.lookup(torch.tensor([3, -1, 0, 7, -1])).tolist() == [1, -1, 0, 2, -1]
    assert source.classes == 3


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_weights_of_fixed_labels(power):
    """size ** -power with mean 1; 4, 1 and 3 members."""
    weights = FixedLabels(LABELS, 3, reweight_power=power).class_weights()
    inverse = [size**-power for size in (4, 1, 3)]
    assert weights.tolist() == pytest.approx([3 * w / sum(inverse) for w in inverse], rel=1e-4)


def test_a_class_without_members_is_no_mistake():
    source = FixedLabels(LABELS, 5)
    assert source.classes == 5 and source.class_weights().tolist() == [1.0] * 5


def test_fixed_labels_follow_nobody():
    source = FixedLabels(LABELS.clone(), 3)
    source.update(torch.arange(8), torch.randn(8, 4), 0)
    assert torch.equal(source.labels, LABELS) and source.metrics() == {}


def test_online_labels_follow_the_keys():
    """An image whose keys are a centroid's direction ends in that cluster; change and sizes are reported."""
    source = online(new_feature_weight=1.0, small_cluster_interval=100, centroid_interval=100)
    centroids = source.memory.centroids.clone()
    source.update(torch.tensor([0, 3, 5, 7]), centroids[[1, 1, 0, 2]], step=0)
    cosine = torch.nn.functional.normalize(centroids[[1, 1, 0, 2]]) @ centroids.T
    want = LABELS.clone()
    want[[0, 3, 5, 7]] = cosine.argmax(1)
    assert torch.equal(source.labels, want)
    metrics = source.metrics()
    assert metrics["cluster_change_ratio"] == (want != LABELS)[[0, 3, 5, 7]].float().mean()
    sizes = want.bincount(minlength=3)
    assert (metrics["cluster_min"], metrics["cluster_max"]) == (sizes.min(), sizes.max())


def test_weights_of_online_labels_are_those_of_the_present_sizes():
    source = online(small_cluster_interval=100)
    source.memory.labels.copy_(torch.tensor([0, 0, 0, 0, 0, 1, 2, 2]))
    inverse = [size**-0.5 for size in (5, 1, 2)]
    want = [3 * w / sum(inverse) for w in inverse]
    assert source.class_weights().tolist() == pytest.approx(want, rel=1e-4)


def test_the_memory_is_maintained_at_the_hosts_step(monkeypatch):
    source, steps = online(), []
    monkeypatch.setattr(source.memory, "maintain", steps.append)
    source.update(torch.tensor([0]), torch.randn(1, 4), step=7)
    assert steps == [7]


def test_state_goes_on():
    one, two = online(), online()
    one.update(torch.arange(8), torch.randn(8, 4), 0)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.labels, two.labels) and torch.equal(one.change_ratio, two.change_ratio)
    fixed = FixedLabels(LABELS.clone(), 3)
    other = FixedLabels(LABELS.flip(0), 3)
    other.load_state_dict(fixed.state_dict())
    assert torch.equal(other.labels, LABELS) and torch.equal(other.weights, fixed.weights)
