"""k-means against its own definition, and the errors a user may meet."""

import logging
import sys

import pytest
import torch

from samix.clustering import faiss_library
from samix.clustering.kmeans import kmeans
from samix.core.errors import ConfigError, DataError, DependencyError

ROWS = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))


def test_result_is_a_fixed_point_of_lloyd():
    found = kmeans(ROWS, 5, 100, seed=3)
    x, centroids = ROWS.double(), found.centroids.double()
    distances = (x[:, None] - centroids[None]).pow(2).sum(-1)
    assert torch.equal(found.labels, distances.argmin(1))
    means = torch.stack([x[found.labels == c].mean(0) for c in range(5)])
    torch.testing.assert_close(centroids, means, atol=1e-5, rtol=0)
    assert found.labels.dtype == torch.int64 and found.centroids.dtype == torch.float32


def test_no_row_is_left_out():
    """faiss uses 256 rows per cluster by default; then the centroid of one cluster is not the mean."""
    x = torch.arange(2000.0)[:, None] % 977
    assert kmeans(x, 1, 1, seed=0).centroids.item() == pytest.approx(x.double().mean().item(), rel=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_equal_seeds_give_equal_bits(threads):
    faiss = faiss_library.import_faiss()
    first = kmeans(ROWS, 8, 20, seed=5)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    again, other = kmeans(ROWS, 8, 20, seed=5), kmeans(ROWS, 8, 20, seed=6)
    faiss.omp_set_num_threads(before)
    assert torch.equal(again.labels, first.labels) and torch.equal(again.centroids, first.centroids)
    assert not torch.equal(other.centroids, first.centroids)


def test_separated_blobs_are_found_from_most_seeds():
    """From random rows as a start they are found from one seed in three: two starts share a blob."""
    blob = torch.arange(6).repeat(30)
    x = 5 * torch.eye(6)[blob] + 0.1 * torch.randn(180, 6, generator=torch.Generator().manual_seed(1))
    found = [kmeans(x, 6, 20, seed).labels for seed in range(12)]
    assert sum(len(torch.unique(labels * 6 + blob)) == 6 for labels in found) >= 10


def test_seeds_of_63_bits_are_welcome():
    assert len(kmeans(ROWS, 2, 5, seed=2**63 - 1).labels) == 300


def test_few_rows_are_no_reason_to_warn(capfd):
    kmeans(ROWS[:10], 4, 5, seed=0)
    assert "WARNING" not in capfd.readouterr().err


def test_more_clusters_than_rows_names_both():
    with pytest.raises(ConfigError, match="11 .* 10 images"):
        kmeans(ROWS[:10], 11, 5, seed=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite(value):
    rows = ROWS.clone()
    rows[7, 2] = value
    with pytest.raises(DataError, match="NaN or infinity"):
        kmeans(rows, 2, 5, seed=0)


def test_without_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(DependencyError, match="install faiss-cpu or the extra `gpu`"):
        kmeans(ROWS, 2, 5, seed=0)


def test_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(faiss_library.import_faiss(), "get_num_gpus", lambda: 0)
    with pytest.raises(DependencyError, match="faiss_device: gpu"):
        kmeans(ROWS, 2, 5, seed=0, device="gpu")


def test_auto_falls_back_and_says_so_once(monkeypatch, caplog):
    monkeypatch.setattr(faiss_library.import_faiss(), "get_num_gpus", lambda: 0)
    faiss_library._say_once.cache_clear()
    with caplog.at_level(logging.INFO):
        on_auto = kmeans(ROWS, 4, 5, seed=0, device="auto")
        kmeans(ROWS, 4, 5, seed=0, device="auto")
    assert [record.message for record in caplog.records].count(
        "faiss finds no GPU: clustering runs on the CPU."
    ) == 1
    assert torch.equal(on_auto.labels, kmeans(ROWS, 4, 5, seed=0, device="cpu").labels)
