"""Contents of the pictures of clusters."""

import pytest
import torch

from samix.analysis import clusters
from samix.analysis.clusters import cluster_sheet, cluster_sizes_figure
from samix.data.store import MemoryStore


@pytest.fixture
def labels():
    return torch.tensor([0] * 12 + [1] * 3 + [4] * 5 + [7] * 4)[
        torch.randperm(24, generator=torch.Generator().manual_seed(0))
    ]


@pytest.fixture
def store(labels):
    """Images whose red value is their cluster and whose green value is their position."""
    pixels = torch.zeros(24, 3, 4, 4, dtype=torch.uint8)
    pixels[:, 0] = labels[:, None, None]
    pixels[:, 1] = torch.arange(24)[:, None, None]
    return MemoryStore(pixels, labels)


def drawn(figure):
    """Red and green value of each image by row."""
    rows = {}
    for image in figure.axes[0].get_images():
        rows.setdefault(int(image.get_extent()[3]), []).append(tuple(image.get_array()[0, 0, :2].tolist()))
    return rows


def names(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_rows_hold_members_of_their_cluster_only(store, labels, monkeypatch):
    monkeypatch.setattr(clusters, "MEMBERS", 4)
    figure = cluster_sheet(store, labels, seed=0)
    assert [{red for red, _ in row} for row in drawn(figure).values()] == [{0}, {1}, {4}, {7}]
    assert [len(row) for row in drawn(figure).values()] == [4, 3, 4, 4]
    assert all(len({green for _, green in row}) == len(row) for row in drawn(figure).values())
    assert names(figure)[::2] == ["cluster 0", "cluster 1", "cluster 4", "cluster 7"]
    assert names(figure)[1::2] == ["12 images", "3 images", "5 images", "4 images"]


def test_choice_follows_the_seed(store, labels, monkeypatch):
    monkeypatch.setattr(clusters, "CLUSTERS", 2)
    monkeypatch.setattr(clusters, "MEMBERS", 3)
    sheets = [drawn(cluster_sheet(store, labels, seed=seed)) for seed in (0, 0, 1)]
    assert len(sheets[0]) == 2
    assert sheets[0] == sheets[1] and sheets[0] != sheets[2]


@pytest.mark.slow
def test_sheet_can_be_written(store, labels, tmp_path):
    cluster_sheet(store, labels, seed=0).savefig(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


@pytest.mark.slow
def test_sizes_are_sorted_and_keep_their_names():
    figure = cluster_sizes_figure(torch.tensor([3, 0, 12, 5]))
    (bars,) = figure.data
    assert list(bars.y) == [12, 5, 3, 0]
    assert list(bars.x) == ["2", "3", "0", "1"]
    assert figure.layout.title.text == "20 images in 4 clusters of 0 to 12"
    assert figure.layout.shapes[0].y0 == 5
    assert figure.layout.annotations[0].text == "mean 5.0"
