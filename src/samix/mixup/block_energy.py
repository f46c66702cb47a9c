"""Masks of blocks that minimise PuzzleMix's energy: exactly by a minimum cut, or approximately on the device.

A labelling gives each block p of a b x b grid a whole number l_p in 0 .. m; its energy is the sum of unary
costs U_p(l_p) and, over neighbours p and q, of W_pq ((l_p - l_q) / m)^2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_SAMPLES = 32
"""Samples per cut: the flow of more would take longer than separate flows, and must stay below 2^31."""
_SWEEPS = 10
"""Sweeps of the approximate solver over the grid."""


class Energy(NamedTuple):
    """N grids: unary (N, b, b, m + 1); weights, not negative, between a block and the one below it,
    down (N, b - 1, b), or to its right, right (N, b, b - 1).
    """

    unary: Tensor
    down: Tensor
    right: Tensor

    def of(self, labels: Tensor) -> Tensor:
        """Energies (N,) of labels (N, b, b), int64."""
        z = labels / (self.unary.shape[3] - 1)
        own = self.unary.gather(3, labels[..., None]).flatten(1).sum(1)
        down = (self.down * z.diff(dim=1) ** 2).flatten(1).sum(1)
        return own + down + (self.right * z.diff(dim=2) ** 2).flatten(1).sum(1)


def minimum_cut(energy: Energy, scale: float) -> Tensor:
    """The labels (N, b, b) of least energy, with costs times `scale` rounded to integers; on the host.

    Because the pair costs are convex in the difference of labels, one cut finds the global minimum
    (Ishikawa, 2003); swaps of two labels at a time may stop in a local one.
    """
    unary, down, right = (part.double().cpu().numpy() for part in energy)
    rows = [slice(start, start + _SAMPLES) for start in range(0, len(unary), _SAMPLES)]
    labels = [_cut(unary[some], down[some], right[some], scale) for some in rows]
    return torch.from_numpy(np.concatenate(labels)).to(energy.unary.device, non_blocking=True)


def descend(energy: Energy) -> Tensor:
    """Labels (N, b, b) of low energy, computed on the device without a wait.

    For b = 2 all labellings are tried. For larger b the blocks on the black and on the white fields of a
    chessboard take turns: each block takes its best label while its neighbours stay (iterated conditional
    modes). The result is a local minimum or close to one.
    """
    if energy.unary.shape[1] == 2:
        return _best_of_all(energy)
    labels = energy.unary.argmin(3)
    rows = torch.arange(labels.shape[1], device=labels.device)
    dark = (rows[:, None] + rows) % 2 == 0
    for turn in range(2 * _SWEEPS):
        labels = torch.where(dark == (turn % 2 == 0), _conditional(energy, labels).argmin(3), labels)
    return labels


def _best_of_all(energy: Energy) -> Tensor:
    n, b, _, kinds = energy.unary.shape
    all_labels = torch.cartesian_prod(*[torch.arange(kinds, device=energy.unary.device)] * (b * b))
    grids = all_labels.view(-1, b, b)
    energies = torch.stack([energy.of(grid.expand(n, -1, -1)) for grid in grids], dim=1)
    return grids.index_select(0, energies.argmin(1))


def _conditional(energy: Energy, labels: Tensor) -> Tensor:
    """(N, b, b, m + 1): the energy of each block for each label, with all other blocks fixed."""
    m = energy.unary.shape[3] - 1
    z = torch.arange(m + 1, device=labels.device) / m
    around = (labels / m)[..., None]
    total = energy.unary.clone()
    down, right = energy.down[..., None], energy.right[..., None]
    total[:, :-1] += down * (z - around[:, 1:]) ** 2
    total[:, 1:] += down * (z - around[:, :-1]) ** 2
    total[:, :, :-1] += right * (z - around[:, :, 1:]) ** 2
    total[:, :, 1:] += right * (z - around[:, :, :-1]) ** 2
    return total


def _cut(unary: np.ndarray, down: np.ndarray, right: np.ndarray, scale: float) -> np.ndarray:
    """Labels by binaries x_k = [l >= k], k = 1 .. m, one node each, 1 on the source's side of the cut.

    (l_p - l_q)^2 = sum_k (2k - 1 - m) (x_pk + x_qk) + sum_kj |x_pk - x_qj|.
    """
    m = unary.shape[3] - 1
    down, right = (np.rint(part * scale / m**2).astype(np.int64) for part in (down, right))
    around = np.zeros(unary.shape[:3], np.int64)
    around[:, :-1] += down
    around[:, 1:] += down
    around[:, :, :-1] += right
    around[:, :, 1:] += right
    steps = np.diff(np.rint(unary * scale).astype(np.int64), axis=3)
    costs: np.ndarray = steps + around[..., None] * (2 * np.arange(1, m + 1) - 1 - m)
    nodes = np.arange(costs.size).reshape(costs.shape)
    edges = [
        *_between(nodes[:, :-1], nodes[:, 1:], down),
        *_between(nodes[:, :, :-1], nodes[:, :, 1:], right),
        # forbids x_(k+1) without x_k, which is not a label
        _Edges(nodes[..., 1:], nodes[..., :-1], np.full_like(nodes[..., 1:], np.abs(costs).sum() + 1)),
    ]
    return np.asarray(_source_side(nodes, costs, edges).sum(3))


class _Edges(NamedTuple):
    start: np.ndarray
    end: np.ndarray
    capacity: np.ndarray


def _between(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> list[_Edges]:
    """Edges of `weights` between each binary of a block and each of its neighbour, both ways."""
    start, end, capacity = np.broadcast_arrays(
        first[..., :, None], second[..., None, :], weights[..., None, None]
    )
    return [_Edges(start, end, capacity), _Edges(end, start, capacity)]


def _source_side(nodes: np.ndarray, costs: np.ndarray, edges: list[_Edges]) -> np.ndarray:
    """Bools of the shape of `nodes`: 1 in the minimum cut, at `costs`, which may be negative, for each 1."""
    from scipy.sparse import csr_array  # PuzzleMix alone needs it, and it takes a third of a second
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    source, sink = nodes.size, nodes.size + 1
    dear, cheap = costs > 0, costs < 0
    edges = [
        *edges,
        _Edges(nodes[dear], np.full(dear.sum(), sink), costs[dear]),
        _Edges(np.full(cheap.sum(), source), nodes[cheap], -costs[cheap]),
    ]
    start, end, capacity = (
        np.concatenate([part.ravel() for part in parts]) for parts in zip(*edges, strict=True)
    )
    graph = csr_array((capacity.astype(np.int32), (start, end)), shape=(sink + 1, sink + 1))
    left = graph - maximum_flow(graph, source, sink).flow
    left.eliminate_zeros()
    reached = np.zeros(sink + 1, dtype=bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    return np.asarray(reached[nodes])
