"""The mixing ratio lam on the host, and the weights of two parents that follow from it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Ratio = float | np.ndarray
"""lam: a number for the batch, or float64 (N,), one per sample, if `Policy.per_sample` allows it."""


def draw_lam(alpha: float, rng: np.random.Generator) -> float:
    """lam ~ Beta(alpha, alpha) for the batch."""
    return float(rng.beta(alpha, alpha))


def draw_lams(alpha: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """lam ~ Beta(alpha, alpha) for each of n samples, (n,) float64."""
    return rng.beta(alpha, alpha, size=n)


def draw_ratio(alpha: float, n: int, rng: np.random.Generator, *, per_sample: bool) -> Ratio:
    """lam ~ Beta(alpha, alpha): one for the batch, or one for each of its n samples."""
    return draw_lams(alpha, n, rng) if per_sample else draw_lam(alpha, rng)


def pair_weights(share: Ratio, n: int) -> Tensor:
    """Weights (2, n) float32 of the first and of the second parents, share and 1 - share.

    A number is complemented in float64 and rounded once; shares (n,) are rounded to float32 first.
    """
    if isinstance(share, np.ndarray):
        return complemented(torch.from_numpy(share.astype(np.float32)))
    return torch.tensor([share, 1 - share], dtype=torch.float64).float()[:, None].expand(2, n)


def complemented(share: Tensor) -> Tensor:
    """Weights (2, N) of the first and of the second parents for shares (N,) of the first."""
    return torch.stack([share, 1 - share])


def as_weight(share: Tensor, like: Tensor) -> Tensor:
    """Shares (N,) as a factor (N, 1, ...) of the type and rank of `like` (N, ...)."""
    return share.to(like.dtype).view(-1, *[1] * (like.dim() - 1))
