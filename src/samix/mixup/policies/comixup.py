"""Co-Mixup (Kim et al., 2021); its graph cuts are approximated by iterated conditional modes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.joint_masks import JointMasks, find_masks
from samix.mixup.lam import Ratio
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy

_TOGETHER = 20
"""Most images whose masks are chosen together: the partition size of the published code."""


class Groups(NamedTuple):
    """Groups of one size: members (G, m), rows of the batch; prior (G, m, m), the log of Dirichlet shares."""

    members: Tensor
    prior: Tensor


class CoMixup(Policy):
    """The masks of up to 20 mixed images are chosen together, so that outputs are salient and different.

    Every block of an output comes from one image of its group, a random part of the batch. The masks minimise
    the sum of (see `joint_masks`): minus the saliency, which has mean 1 over the blocks of each image; beta
    for each edge between blocks of two images; gamma times the similarity of all outputs, sum o_j^T A o_j',
    as far as it exceeds tau per output; and eta times -log of a prior, the shares ~ Dirichlet(alpha) of an
    output. A is (1 - omega) I + omega D: two outputs should contain different images, and images whose most
    salient blocks are far apart (D, the L1 distance over its maximum) should be in the same output.

    The terms are computed for blocks, not pixels, as the published beta, eta and tau have this scale; D in
    [0, 1] is a choice of this project. The given lam is not used: shares come from the masks, and the weight
    of a label is the share of its image's pixels. The method also trains on the plain images, with weight 1.
    """

    cost = "saliency"
    requires = frozenset({"saliency"})
    many_parents = True

    def __init__(
        self,
        blocks: int = 4,
        alpha: float = 2.0,
        beta: float = 0.32,
        gamma: float = 1.0,
        eta: float = 0.05,
        omega: float = 0.001,
        tau: float = 0.83,
        iterations: int = 4,
    ) -> None:
        """blocks: number per side; iterations: how often each mask is chosen again, given the others.

        Raises: ConfigError for numbers out of range.
        """
        super().__init__()
        fit = min(blocks, iterations) >= 1 and alpha > 0 and 0 <= omega <= 1
        if not fit or min(beta, gamma, eta, tau) < 0:
            raise ConfigError(
                "CoMixup: blocks and iterations must be at least 1, alpha positive, omega in [0, 1], and "
                "beta, gamma, eta and tau not negative"
            )
        self.blocks, self.alpha, self.iterations = blocks, alpha, iterations
        self.beta, self.gamma, self.eta = beta, gamma, eta
        self.omega, self.tau = omega, tau

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> tuple[Groups, ...]:  # noqa: ARG002
        """See Policy: a random partition into few groups of nearly equal size, then their shares.

        One entry per group size, the larger size first.
        """
        parts = _groups(shape.images, rng)
        priors = [rng.dirichlet(np.full(part.shape[1], self.alpha), part.shape) for part in parts]
        logs = [np.log(shares + 1e-8).astype(np.float32) for shares in priors]
        pairs = zip(parts, logs, strict=True)
        return tuple(Groups(torch.from_numpy(part), torch.from_numpy(log)) for part, log in pairs)

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: tuple[Groups, ...], info: PairInfo
    ) -> Mixed:
        """See Policy; the partners are not used. Raises: ValueError if the saliency is missing."""
        if info.first.saliency is None:
            raise ValueError("Co-Mixup requires the saliency of the images")
        n, _, height, width = images.shape
        grid = min(self.blocks, height), min(self.blocks, width)
        saliency = F.adaptive_avg_pool2d(info.first.saliency.float(), grid)[:, 0] + 1e-12
        saliency = saliency / saliency.mean((1, 2), keepdim=True)
        sources = torch.empty((n, *grid), dtype=torch.long, device=images.device)
        index = torch.arange(n, device=images.device).repeat(draws[0].members.shape[1], 1)
        for members, prior in draws:
            labels = find_masks(self._wanted(saliency[members], prior), self.iterations)
            found = members.gather(1, labels.flatten(1)).view_as(labels)
            sources.index_copy_(0, members.flatten(), found.flatten(0, 1))
            together = members.shape[1]
            for k in range(together):
                index[k].index_copy_(0, members.flatten(), members[:, k].repeat_interleave(together))
        return _composed(images, sources, index)

    def _wanted(self, saliency: Tensor, prior: Tensor) -> JointMasks:
        """The problem of G groups of m images with saliency (G, m, h, w) and prior (G, m, m)."""
        m, height, width = saliency.shape[1:]
        cost = -saliency[:, None] - self.eta * prior[..., None, None]
        peak = saliency.flatten(2).argmax(2)
        apart = sum(
            (place[:, :, None] - place[:, None]).abs() for place in (peak // width, peak % width)
        ) / max(1, height + width - 2)
        itself = torch.eye(m, device=saliency.device)
        alike = (1 - self.omega) * itself + self.omega * apart
        return JointMasks(cost, alike, self.beta, self.gamma, self.tau)


def _groups(n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A random partition of n rows into few groups of nearly equal size: (G, m) per size, larger first."""
    order = rng.permutation(n)
    groups = -(-n // _TOGETHER)
    small, larger = divmod(n, groups)
    split = larger * (small + 1)
    parts = (order[:split], small + 1), (order[split:], small)
    return [part.reshape(-1, size) for part, size in parts if len(part)]


def _composed(images: Tensor, sources: Tensor, index: Tensor) -> Mixed:
    """Images whose blocks come from rows `sources` (N, h, w), all among `index` (K, N), of `images`."""
    height, width = images.shape[2:]
    for axis, size in ((1, height), (2, width)):
        place = torch.arange(size, device=images.device) * sources.shape[axis] // size
        sources = sources.index_select(axis, place)
    mixed = images.gather(0, sources[:, None].expand_as(images))
    # rows that pad a smaller group repeat the image itself, and have no share
    first_time = torch.stack([(index[:k] != row).all(0) for k, row in enumerate(index)])
    masks = torch.stack([(sources == row[:, None, None]).float() for row in index])
    masks = masks * first_time[:, :, None, None]
    return Mixed(mixed, index, masks.mean((2, 3)), masks[:, :, None], own_first=False)
