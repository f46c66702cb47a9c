"""Whitening against an eigendecomposition in float64."""

import pytest
import torch

from samix.clustering.preprocess import l2_normalise, pca_whiten
from samix.core.errors import ConfigError, DataError


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    spread = torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5])
    basis = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    return (torch.randn(400, 5, generator=generator) * spread) @ basis + 2


def test_l2_rows_have_length_one_and_a_zero_row_stays(features):
    features[3] = 0
    lengths = l2_normalise(features).double().norm(dim=1)
    assert lengths[3] == 0
    torch.testing.assert_close(lengths[4:], torch.ones(396).double(), atol=1e-6, rtol=0)


def test_whitening_is_the_eigendecomposition(features):
    white = pca_whiten(features, 3).double()
    centred = features.double() - features.double().mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    expected = centred @ vectors[:, [4, 3, 2]] / values[[4, 3, 2]].sqrt() / 400**0.5
    signs = (white * expected).sum(0).sign()  # a component's sign is free
    torch.testing.assert_close(white * signs, expected, atol=1e-5, rtol=1e-4)


def test_whitened_features_are_uncorrelated_of_equal_variance(features):
    scatter = 400 * pca_whiten(features, 4).T.cov(correction=0)
    torch.testing.assert_close(scatter, torch.eye(4), atol=1e-4, rtol=0)


def test_more_components_than_features(features):
    with pytest.raises(ConfigError, match="pca_dim: 6 .* 5 features"):
        pca_whiten(features, 6)


def test_directions_without_variance_are_an_error(features):
    features[:, 1:] = 0
    with pytest.raises(DataError, match="smaller pca_dim"):
        pca_whiten(features, 5)
