"""The energy of Co-Mixup's masks, and a search for low ones on the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_SWEEPS = 4
"""Number of times that every block of an output chooses its input again."""
_WEIGHTS = (0.0, 0.5, 1.0)
"""Slopes of the clipped penalty for which the labels of an output are searched."""


class JointMasks(NamedTuple):
    """A problem to solve: m outputs, each block of which comes from one of m inputs, in G groups at once.

    E(z) = sum_jk cost[j, z_jk, k] + beta * sum_j (edges of the grid whose blocks differ in z_j)
           + gamma * n * max(tau * m, sum_{j != j'} o_j^T A o_j')

    with n = h * w blocks k and o_j the shares of the inputs in output j.
    cost (G, m, m, h, w) by output, input and block; alike (G, m, m), the symmetric A.
    """

    cost: Tensor
    alike: Tensor
    beta: float
    gamma: float
    tau: float


def energy(wanted: JointMasks, labels: Tensor) -> Tensor:
    """E (G,) of labels (G, m, h, w), the input that each block of each output comes from."""
    shares = _shares(labels, wanted.cost.shape[2])
    plain = _plain(wanted.cost, labels, wanted.beta).sum(1)
    return plain + _penalty(wanted, _likeness(shares, wanted.alike))


def find_masks(wanted: JointMasks, iterations: int) -> Tensor:
    """Labels (G, m, h, w) of low energy: one output after the other, the others fixed, `iterations` times.

    It starts from outputs equal to the inputs. Given the other outputs, the penalty is a clipped linear
    function of the output's labels, so that for each of a few slopes the blocks depend on each other only
    through the terms of neighbours. Iterated conditional modes on a chessboard search these problems, from
    the present labels and from the cheapest ones. The best labels under the true energy are kept, the present
    ones included: the energy never rises.
    """
    groups, m, _, height, width = wanted.cost.shape
    start = torch.arange(m, device=wanted.cost.device).view(1, m, 1, 1)
    labels = start.expand(groups, m, height, width).contiguous()
    shares = _shares(labels, m)
    for _ in range(iterations):
        for j in range(m):
            labels[:, j] = _better(wanted, labels, shares, j)
            shares[:, j] = _shares(labels[:, j], m)
    return labels


def _better(wanted: JointMasks, labels: Tensor, shares: Tensor, j: int) -> Tensor:
    """Labels (G, h, w) of output j, whose energy is at most that of its present labels."""
    cost, m = wanted.cost[:, j], shares.shape[1]
    rest = shares.sum(1) - shares[:, j]
    pull = 2 * _pull(rest[:, None], wanted.alike)[:, 0]  # (G, m): penalty per share of an input
    among_rest = _likeness(shares, wanted.alike) - (shares[:, j] * pull).sum(1)
    slopes = torch.stack([cost + weight * wanted.gamma * pull[:, :, None, None] for weight in _WEIGHTS], 1)
    present = labels[:, j, None]
    starts = torch.cat([present.expand(-1, len(_WEIGHTS), -1, -1), slopes.argmin(2)], 1)
    found = torch.cat([present, _conditional_modes(slopes.repeat(1, 2, 1, 1, 1), starts, wanted.beta)], 1)
    together = among_rest[:, None] + (_shares(found, m) * pull[:, None]).sum(2)
    plain = _plain(cost[:, None].expand(-1, found.shape[1], -1, -1, -1), found, wanted.beta)
    total = plain + _penalty(wanted, together)
    chosen = total.argmin(1).view(-1, 1, 1, 1).expand(-1, 1, *found.shape[2:])
    return found.gather(1, chosen)[:, 0]


def _conditional_modes(cost: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Labels (G, S, h, w) with each block's cheapest label given its neighbours; cost (G, S, m, h, w)."""
    height, width = labels.shape[2:]
    y = torch.arange(height, device=cost.device)[:, None]
    black = (y + torch.arange(width, device=cost.device)) % 2 == 0
    for _ in range(_SWEEPS):
        for mine in (black, ~black):
            each = F.pad(_one_hot(labels, cost.shape[2]), (1, 1, 1, 1))
            like = each[..., :-2, 1:-1] + each[..., 2:, 1:-1] + each[..., 1:-1, :-2] + each[..., 1:-1, 2:]
            labels = torch.where(mine, (cost - beta * like).argmin(2), labels)
    return labels


def _plain(cost: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Costs and differing edges (G, m) of each output; cost (G, m, m, h, w), labels (G, m, h, w)."""
    unary = cost.gather(2, labels[:, :, None]).sum((2, 3, 4))
    down = (labels[..., 1:, :] != labels[..., :-1, :]).sum((2, 3))
    across = (labels[..., 1:] != labels[..., :-1]).sum((2, 3))
    return unary + beta * (down + across)


def _likeness(shares: Tensor, alike: Tensor) -> Tensor:
    """sum_{j != j'} o_j^T A o_j' (G,) of shares (G, m, m)."""
    pulls = _pull(shares, alike)
    return (pulls.sum(1) * shares.sum(1)).sum(1) - (pulls * shares).sum((1, 2))


def _pull(shares: Tensor, alike: Tensor) -> Tensor:
    """A o (G, n, m) of shares (G, n, m). No matrix product: autocast would run it in half precision."""
    return (alike[:, None] * shares[:, :, None, :]).sum(3)


def _penalty(wanted: JointMasks, together: Tensor) -> Tensor:
    m, height, width = wanted.cost.shape[2:]
    return wanted.gamma * height * width * together.clamp(min=wanted.tau * m)


def _one_hot(labels: Tensor, m: int) -> Tensor:
    """(..., h, w) -> (..., m, h, w) float32."""
    classes = torch.arange(m, device=labels.device).view(m, 1, 1)
    return (labels[..., None, :, :] == classes).float()


def _shares(labels: Tensor, m: int) -> Tensor:
    """Labels (..., h, w) -> shares of the m inputs (..., m)."""
    return _one_hot(labels, m).mean((-2, -1))
