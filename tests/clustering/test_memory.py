"""The samples memory: initialisation, update by brute force, exact state."""

import pytest
import torch

from samix.clustering.memory import ODCMemory
from samix.clustering.metrics import nmi
from samix.config.clustering import ClusteringConfig
from samix.core.errors import ConfigError, DataError


def blobs(clusters=4, members=20, dim=6, seed=0):
    """Features around orthogonal directions, in random order, and the blob of each."""
    generator = torch.Generator().manual_seed(seed)
    blob = torch.arange(clusters).repeat(members)[torch.randperm(clusters * members, generator=generator)]
    return 3 * torch.eye(dim)[blob] + 0.03 * torch.randn(len(blob), dim, generator=generator), blob


def memory_of(features, seed=0, **options):
    memory = ODCMemory(*features.shape, ClusteringConfig(**{"clusters": 4, **options}))
    memory.initialise(features, seed)
    return memory


def unit(x):
    x = x.double()
    return x / (x.pow(2).sum(-1, keepdim=True).sqrt() + 1e-10)


@pytest.mark.parametrize("pca_dim", [None, 3])
def test_blobs_are_found_and_kept_over_five_epochs(pca_dim):
    features, blob = blobs()
    memory = memory_of(features, pca_dim=pca_dim)
    assert nmi(memory.labels, blob) == pytest.approx(1)
    step = 0
    for epoch in range(5):
        order = torch.randperm(80, generator=torch.Generator().manual_seed(epoch))
        for index in order.split(16):
            assert memory.update(index, features[index]) == 0
            memory.maintain(step)
            step += 1
    assert nmi(memory.labels, blob) == pytest.approx(1)


def test_initial_state():
    features, _ = blobs()
    memory = memory_of(features)
    torch.testing.assert_close(memory.features.double(), unit(features), atol=1e-6, rtol=0)
    for cluster in range(4):
        mean = unit(features)[memory.labels == cluster].mean(0)
        torch.testing.assert_close(memory.centroids[cluster].double(), mean, atol=1e-6, rtol=0)
    assert memory.centroids.norm(dim=1).max() < 1  # means of unit vectors, not normalised again


def test_pca_is_for_k_means_only():
    """The memory keeps the features themselves."""
    features, _ = blobs()
    torch.testing.assert_close(memory_of(features, pca_dim=3).features, memory_of(features).features)


def test_equal_features_give_full_clusters():
    memory = memory_of(torch.ones(24, 3))
    assert memory.sizes().min() > 0 and memory.sizes().sum() == 24


def test_seed_decides():
    features = torch.randn(80, 6, generator=torch.Generator().manual_seed(5))
    first, again, other = (memory_of(features, seed).labels for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 1.0])
def test_update_by_brute_force(weight):
    memory = memory_of(
        torch.randn(40, 5, generator=torch.Generator().manual_seed(1)), new_feature_weight=weight
    )
    index = torch.tensor([3, 17, 3, 29, 8, 17, 3])
    new = torch.randn(7, 5, generator=torch.Generator().manual_seed(2))
    expected, labels = memory.features.double().clone(), memory.labels.clone()
    for i, row in {i: new[n] for n, i in enumerate(index.tolist())}.items():  # the last one of an index
        expected[i] = unit((1 - weight) * expected[i] + weight * unit(row))
        labels[i] = (memory.centroids.double() @ expected[i]).argmax()
    changed = (labels[index] != memory.labels[index]).double().mean()

    ratio = memory.update(index, new)
    torch.testing.assert_close(memory.features.double(), expected, atol=1e-6, rtol=0)
    assert torch.equal(memory.labels, labels)
    assert ratio.item() == pytest.approx(changed.item())


def test_weight_one_replaces_and_zero_keeps():
    features = torch.randn(40, 5, generator=torch.Generator().manual_seed(1))
    new, index = torch.randn(40, 5, generator=torch.Generator().manual_seed(3)), torch.arange(40)
    replaced, kept = memory_of(features, new_feature_weight=1.0), memory_of(features, new_feature_weight=0.0)
    replaced.update(index, new)
    kept.update(index, new)
    torch.testing.assert_close(replaced.features.double(), unit(new), atol=1e-6, rtol=0)
    torch.testing.assert_close(kept.features.double(), unit(features), atol=1e-6, rtol=0)


def test_periodic_work_keeps_its_intervals(monkeypatch):
    memory = memory_of(blobs()[0], centroid_interval=3, small_cluster_interval=2)
    done = []
    monkeypatch.setattr(memory, "refresh_centroids", lambda: done.append("centroids"))
    monkeypatch.setattr(memory, "handle_small_clusters", lambda: done.append("small"))
    for step in range(6):
        done.append(step)
        memory.maintain(step)
    assert done == [0, 1, "small", 2, "centroids", 3, "small", 4, 5, "centroids", "small"]


def test_forced_empty_cluster_is_refilled():
    memory = memory_of(torch.randn(80, 6, generator=torch.Generator().manual_seed(6)))
    memory.labels[memory.labels == 2] = 1
    memory.maintain(0)
    assert memory.sizes()[2] > 0 and memory.sizes().sum() == 80


def test_class_weights_follow_the_labels():
    memory = memory_of(blobs()[0])
    torch.testing.assert_close(memory.class_weights(), torch.ones(4))
    memory.labels[memory.labels == 0] = 1
    assert memory.class_weights()[1] < memory.class_weights()[2] < memory.class_weights()[0]


def test_state_dict_restores_everything_without_k_means():
    features = torch.randn(80, 6, generator=torch.Generator().manual_seed(7))
    memory = memory_of(features)
    restored = ODCMemory(80, 6, memory.config)
    restored.load_state_dict(memory.state_dict())
    assert set(memory.state_dict()) == {"features", "labels", "centroids"}
    for step in range(20):
        index = torch.randint(80, (16,), generator=torch.Generator().manual_seed(step))
        new = torch.randn(16, 6, generator=torch.Generator().manual_seed(100 + step))
        for each in (memory, restored):
            each.update(index, new)
            each.maintain(step)
    for key, value in memory.state_dict().items():
        assert torch.equal(restored.state_dict()[key], value)


@pytest.mark.parametrize(
    ("samples", "options", "expected"),
    [(2000, {}, 75), (20, {}, 2), (2000, {"min_cluster": 5}, 5), (4, {"min_cluster": 1}, 1)],
)
def test_min_cluster_scales_with_the_mean_size(samples, options, expected):
    assert ODCMemory(samples, 3, ClusteringConfig(clusters=4, **options)).min_cluster == expected


def test_clusters_that_cannot_all_be_large_enough():
    with pytest.raises(ConfigError, match="clusters: 4 of min_cluster: 6 .* 20"):
        ODCMemory(20, 3, ClusteringConfig(clusters=4, min_cluster=6))
    with pytest.raises(ConfigError, match="clusters: 30 .* 20"):
        ODCMemory(20, 3, ClusteringConfig(clusters=30))


def test_labels_from_elsewhere():
    features, blob = blobs()
    memory = ODCMemory(80, 6, ClusteringConfig(clusters=4))
    memory.load(features, blob)
    assert torch.equal(memory.labels, blob)
    with pytest.raises(DataError, match="0 to 3, got 0 to 4"):
        memory.load(features, blob + (blob == 3))
    with pytest.raises(DataError, match=r"features \(80, 6\), got \(79, 6\)"):
        memory.initialise(features[:79], 0)


@pytest.mark.parametrize(
    "options",
    [{"clusters": 1}, {"new_feature_weight": 1.1}, {"pca_dim": 0}, {"centroid_interval": 0}, {"cluster": 3}],
)
def test_config_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ClusteringConfig(**options)
