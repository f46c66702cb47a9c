"""Preprocessing of features before k-means: PCA with whitening, rows of length 1."""

from __future__ import annotations

import torch
from torch import Tensor

from samix.clustering.faiss_library import import_faiss
from samix.core.errors import ConfigError, DataError

MAX_UNDEFINED = 1e-3


def l2_normalise(x: Tensor) -> Tensor:
    """Rows of (n, d) divided by their length + 1e-10, so that a zero row stays zero."""
    length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / (length + 1e-10)


def pca_whiten(features: Tensor, dim: int) -> Tensor:
    """Project features (M, d) on their `dim` leading components, scaled to equal variance (DeepCluster).

    The variance is 1/M, not 1: normalise the rows afterwards. Entries that whitening leaves undefined,
    because a direction has no variance, become 0 if they are few.

    Returns: (M, dim) float32 on the device of features.
    Raises: ConfigError for dim > d; DataError if more than 0.1 % of the entries are undefined.
    """
    width = features.shape[1]
    if dim > width:
        raise ConfigError(f"pca_dim: {dim} is more than the {width} features of an image. Use fewer.")
    rows = features.detach().to("cpu", torch.float32).contiguous().numpy()
    pca = import_faiss().PCAMatrix(width, dim, -0.5)  # eigenvalues ** -0.5: whitening
    pca.train(rows)  # on a sample of at most 1000 * d rows, which is faiss' own limit
    white = torch.from_numpy(pca.apply(rows))
    undefined = (~white.isfinite()).float().mean().item()
    if undefined > MAX_UNDEFINED:
        raise DataError(
            f"PCA whitening to pca_dim: {dim} leaves {undefined:.1%} of the entries undefined: the features "
            "vary in fewer directions. Use a smaller pca_dim, or null."
        )
    return white.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).to(features.device)
