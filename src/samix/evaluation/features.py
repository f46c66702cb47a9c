"""Features of a whole split by a frozen network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from samix.data import ImageStore, Normalize, iterate


@torch.no_grad()
def extract_features(
    network: nn.Module,
    read: Callable[[Tensor], Tensor],
    store: ImageStore,
    normalize: Normalize,
    batch_size: int,
) -> Tensor:
    """Features (M, d) of the un-augmented images, in the store's order, with `network` in eval mode.

    Args: read, images (n, 3, S, S) to features (n, d) through the network or a part of it.
    """
    training = network.training
    network.eval()
    parts = [read(images) for images in iterate(store, normalize, batch_size)]
    network.train(training)
    return torch.cat(parts).float()
