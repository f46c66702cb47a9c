"""Weighted k-nearest-neighbour classification (Wu et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.evaluation.protocol import Evaluated, Frozen


def knn_protocol(frozen: Frozen) -> Evaluated:
    """kNN of the test features among the training features. Figure: top1 in percent."""
    features, labels = frozen.features, frozen.labels
    nearest = knn_predict(
        features["train"],
        labels["train"],
        features["test"],
        neighbours=frozen.config.knn_neighbours,
        temperature=frozen.config.knn_temperature,
        classes=frozen.classes,
    )
    return Evaluated({"top1": 100 * float((nearest == labels["test"]).float().mean())})


@torch.no_grad()
def knn_predict(
    train: Tensor, labels: Tensor, test: Tensor, *, neighbours: int, temperature: float, classes: int
) -> Tensor:
    """Class (n,) of each test feature by the vote exp(cosine / temperature) of its nearest training features.

    Args: train (M, d) with labels (M,) in [0, classes); test (n, d); features need not be normalised.
    Raises: ConfigError for more neighbours than training features.
    """
    if neighbours > len(train):
        raise ConfigError(
            f"linear_evaluation.knn_neighbours is {neighbours}, but there are {len(train)} training images."
        )
    train, test = F.normalize(train, dim=1), F.normalize(test, dim=1)
    predictions = []
    for rows in torch.split(test, 256):  # the similarities of all test images at once may not fit
        similarity, nearest = (rows @ train.T).topk(neighbours, dim=1)
        votes = torch.zeros(len(rows), classes, device=rows.device)
        # relative to the nearest one, as a vote that overflows could not be compared
        votes.scatter_add_(1, labels[nearest], ((similarity - similarity[:, :1]) / temperature).exp())
        predictions.append(votes.argmax(1))
    return torch.cat(predictions)
