"""How pseudo labels compare with classes."""

from __future__ import annotations

import torch
from torch import Tensor


def purity(pseudo_labels: Tensor, labels: Tensor) -> float:
    """Share of images whose class is the commonest one of their cluster, in (0, 1].

    Args: pseudo_labels (M,) and labels (M,), both int64 >= 0.
    """
    classes = int(labels.max()) + 1
    pairs, counts = torch.unique(pseudo_labels * classes + labels, return_counts=True)
    commonest = torch.zeros(int(pseudo_labels.max()) + 1, dtype=counts.dtype, device=counts.device)
    commonest.scatter_reduce_(0, pairs // classes, counts, "amax")
    return float(commonest.sum()) / len(labels)


def nmi(pseudo_labels: Tensor, labels: Tensor) -> float:
    """Normalised mutual information (arithmetic mean of the entropies) of two labellings (M,), in [0, 1]."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels.cpu().numpy(), pseudo_labels.cpu().numpy()))


def ari(pseudo_labels: Tensor, labels: Tensor) -> float:
    """Adjusted Rand index of two labellings (M,): 1 if they agree, about 0 if they are unrelated."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels.cpu().numpy(), pseudo_labels.cpu().numpy()))
