"""PuzzleMix's transport: blocks of an image move to places that the mask shows, if it is worth the price."""

from __future__ import annotations

import torch
from torch import Tensor

_ENTRIES = 2**26
"""Costs in memory at once, at most: larger batches are moved in parts."""


def transported(images: Tensor, saliency: Tensor, shown: Tensor, price: float) -> Tensor:
    """Images (N, 3, H, W) whose t x t blocks are moved by `sources_of`; other places keep their own block.

    Args: saliency (N, t, t), of the blocks; shown (N, t, t) bools, which of them the mask shows.
    """
    t = saliency.shape[1]
    blocks = _blocks(images, t)
    step = max(1, _ENTRIES // t**4)
    starts = range(0, len(images), step)
    sources = torch.cat([sources_of(saliency[i : i + step], shown[i : i + step], price) for i in starts])
    return _assembled(blocks.gather(1, sources[..., None].expand_as(blocks)), images, t)


def sources_of(saliency: Tensor, shown: Tensor, price: float) -> Tensor:
    """(N, t^2): the block that comes to each place, its own if no other does.

    Block p at place q costs price * C_pq, less u_p if the mask shows q; C is the squared distance in the grid
    over (t - 1)^2. In each of t rounds every block claims its cheapest place, and the cheapest claimant wins
    the place if its cost is negative; for all other claimants the cost of the place rises by 1. The winners
    of the last round are the plan. Of equal costs the first in row order counts.
    Args: saliency u (N, t, t); shown (N, t, t) bools.
    """
    n, t, _ = saliency.shape
    costs = price * _distances(t, saliency) - saliency.flatten(1)[:, :, None] * shown.flatten(1)[:, None, :]
    block, nobody = torch.arange(t * t, device=costs.device), t * t
    winners = block.expand(n, -1)
    for _ in range(t):
        cost, place = costs.min(2)
        lowest = torch.zeros_like(cost).scatter_reduce(1, place, cost, "amin")
        able = (cost < 0) & (cost == lowest.gather(1, place))
        claims = torch.where(able, block, nobody)
        winners = torch.full_like(place, nobody).scatter_reduce(1, place, claims, "amin")
        lost = winners.gather(1, place) != block
        costs.scatter_add_(2, place[..., None], lost[..., None].to(costs.dtype))
    return torch.where(winners == nobody, block, winners)


def _distances(t: int, like: Tensor) -> Tensor:
    """(t^2, t^2): squared distances of blocks in the grid, that of neighbours being 1 / (t - 1)^2."""
    place = torch.arange(t, device=like.device, dtype=like.dtype)
    apart = (place[:, None] - place) ** 2
    both = apart[:, None, :, None] + apart[None, :, None, :]
    return both.reshape(t * t, t * t) / (t - 1) ** 2


def _blocks(images: Tensor, t: int) -> Tensor:
    """(N, 3, H, W) -> (N, t^2, pixels and channels of a block)."""
    n, channels, height, width = images.shape
    parts = images.reshape(n, channels, t, height // t, t, width // t)
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(n, t * t, -1)


def _assembled(blocks: Tensor, images: Tensor, t: int) -> Tensor:
    n, channels, height, width = images.shape
    parts = blocks.reshape(n, t, t, channels, height // t, width // t)
    return parts.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
