"""Co-Mixup (Kim et al., 2021); its graph cuts are approximated by iterated conditional modes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Need, Parents, Policy
from samix.mixup.joint_masks import JointMasks, find_masks

_TOGETHER = 20
"""Images whose masks are chosen together, at most: the partition size of the published code."""


class CoMixup(Policy):
    """The masks of up to 20 mixed images are chosen together, so that they are salient and unlike each other.

    Every block of an output comes from one image of its group, a random part of the batch. The masks
    minimise, see `joint_masks`: less saliency (each image's with mean 1 over the blocks); beta for each edge
    between blocks of two images; gamma times the likeness of all outputs, sum o_j^T A o_j', as far as it is
    above tau for an output on average; and eta times - log of a prior, the shares ~ Dirichlet(alpha) of an
    output. A is (1 - omega) I + omega D: outputs should hold other images, and images whose most salient
    blocks lie far from each other (D, the L1 distance over its maximum) should come into one output.

    Blocks rather than pixels carry the terms, as the published beta, eta and tau make sense in no other
    scale; D in [0, 1] is a choice made here. The given lam is not used: shares come from the masks, and a
    label weighs as much as its image's pixels. The method trains on the plain images as well, with weight 1.
    """

    cost: ClassVar[Cost] = "L"
    needs: frozenset[Need] = frozenset({"saliency"})
    several = True

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
        """blocks: to a side; iterations: times that each mask is chosen anew, given the others.

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

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W), which are the batch, with their saliency -> Mixed with its parents.

        `second` and `lam` are not used. Raises: ValueError where the saliency is missing.
        """
        if guides.first.saliency is None:
            raise ValueError("Co-Mixup needs the saliency of the images")
        n, _, height, width = first.shape
        grid = min(self.blocks, height), min(self.blocks, width)
        saliency = F.adaptive_avg_pool2d(guides.first.saliency.float(), grid)[:, 0] + 1e-12
        saliency = saliency / saliency.mean((1, 2), keepdim=True)
        sources = torch.empty((n, *grid), dtype=torch.long, device=first.device)
        groups = _groups(n, generator, first.device)
        index = torch.arange(n, device=first.device).repeat(groups[0].shape[1], 1)
        for members in groups:
            labels = find_masks(self._wanted(saliency[members], generator), self.iterations)
            found = members.gather(1, labels.flatten(1)).view_as(labels)
            sources.index_copy_(0, members.flatten(), found.flatten(0, 1))
            together = members.shape[1]
            for k in range(together):
                index[k].index_copy_(0, members.flatten(), members[:, k].repeat_interleave(together))
        return _composed(first, sources, index)

    def _wanted(self, saliency: Tensor, generator: np.random.Generator) -> JointMasks:
        """The problem of G groups of m images with saliency (G, m, h, w)."""
        groups, m, height, width = saliency.shape
        prior = torch.from_numpy(np.log(generator.dirichlet(np.full(m, self.alpha), (groups, m)) + 1e-8))
        prior = prior.to(saliency.device, torch.float32, non_blocking=True)
        cost = -saliency[:, None] - self.eta * prior[..., None, None]
        peak = saliency.flatten(2).argmax(2)
        apart = sum(
            (place[:, :, None] - place[:, None]).abs() for place in (peak // width, peak % width)
        ) / max(1, height + width - 2)
        itself = torch.eye(m, device=saliency.device)
        alike = (1 - self.omega) * itself + self.omega * apart
        return JointMasks(cost, alike, self.beta, self.gamma, self.tau)


def _groups(n: int, generator: np.random.Generator, device: torch.device) -> list[Tensor]:
    """A random partition of n rows into few groups of nearly one size: (G, m) for each size, larger first."""
    order = torch.from_numpy(generator.permutation(n)).to(device, non_blocking=True)
    groups = -(-n // _TOGETHER)
    small, larger = divmod(n, groups)
    split = larger * (small + 1)
    parts = (order[:split], small + 1), (order[split:], small)
    return [part.view(-1, size) for part, size in parts if len(part)]


def _composed(images: Tensor, sources: Tensor, index: Tensor) -> Mixed:
    """Images whose blocks come from rows `sources` (N, h, w), all among `index` (K, N), of `images`."""
    height, width = images.shape[2:]
    for axis, size in ((1, height), (2, width)):
        place = torch.arange(size, device=images.device) * sources.shape[axis] // size
        sources = sources.index_select(axis, place)
    mixed = images.gather(0, sources[:, None].expand_as(images))
    # rows that pad a smaller group stand for the image itself once more, and have no share
    first_time = torch.stack([(index[:k] != row).all(0) for k, row in enumerate(index)])
    shares = torch.stack([(sources == row[:, None, None]).float().mean((1, 2)) for row in index])
    return Mixed(mixed, 1.0, parents=Parents(index, shares * first_time))
