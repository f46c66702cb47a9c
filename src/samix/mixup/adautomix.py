"""AdAutoMix (Qin et al., 2024)."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.adautomix import AdAutoMixConfig
from samix.mixup.base import Cost, Guides, Mixed, Need, Parents, Policy


class AdversarialMixer(nn.Module):
    """K feature maps and their shares in, K masks out that sum to 1 at every pixel (AdAutoMix, generator)."""

    def __init__(self, channels: int, init_std: float) -> None:
        """channels: C of the maps, >= 2; init_std: of the first weights."""
        super().__init__()
        half = channels // 2
        self.query = nn.Conv2d(channels + 1, half, 1)
        self.key = nn.Conv2d(channels + 1, half, 1)
        self.content = nn.Conv2d(channels + 1, 1, 1)
        for conv in (self.query, self.key, self.content):
            nn.init.normal_(conv.weight, std=init_std)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, maps: Tensor, shares: list[float], size: tuple[int, int]) -> Tensor:
        """Maps (K, N, C, h, w) and the mask's size (H, W) -> masks (K, N, 1, H, W), float32.

        Each parent attends to all the others: A_k = softmax(sum over l != k of q_k k_l^T / sqrt(d)).
        """
        k, n, _, h, w = maps.shape
        told = torch.cat([torch.full_like(maps[:, :, :1], 1.0), maps], 2)
        for parent, share in enumerate(shares):
            told[parent, :, 0] = share
        flat = told.flatten(0, 1)
        query, key = self.query(flat), self.key(flat)
        content = self.content(flat)
        # fp32 island, as the Mixer's
        with torch.autocast(maps.device.type, enabled=False):
            query, key, content = (x.float().reshape(k, n, -1, h * w) for x in (query, key, content))
            others = key.sum(0, keepdim=True) - key
            logits = query.transpose(2, 3) @ others / math.sqrt(query.shape[2])
            drawn = (logits.softmax(-1) @ content.transpose(2, 3)).transpose(2, 3)
            grid = drawn.reshape(k * n, 1, h, w)
            full = F.interpolate(grid, size, mode="bilinear", align_corners=False)
            return full.view(k, n, 1, *size).softmax(0)


class AdAutoMix(Policy):
    """K images of the batch, mixed by masks that sum to 1; labels by the shares drawn before.

    The shares are K uniform numbers over their sum, the given lam is not used. Of three and more parents each
    is a permutation of the batch of its own, of two the first is the batch itself.
    """

    cost: ClassVar[Cost] = "T"
    needs = frozenset[Need]({"maps"})
    several = True
    classes = True
    Options = AdAutoMixConfig
    uses_mixer = "online"
    extra_requirement = "a network of its own that is trained along; a classifier as its host"

    def __init__(self, mixer: AdversarialMixer, config: AdAutoMixConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.config = config
        self.plain_weight = 1 - config.rho

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        return cls(AdversarialMixer(6, init_std=0.3), AdAutoMixConfig())

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """The batch (N, 3, H, W) and its maps -> Mixed with parents, and a linear mix `beside` it."""
        if guides.first.maps is None:
            raise ValueError("AdAutoMix needs the feature maps of the batch")
        shares = draw_shares(self.config, generator)
        parents = draw_parents(shares, len(first), generator, first.device)
        images = first[parents.index]
        linear = weighted(images, [torch.full_like(images[0, :, :1], share) for share in shares])
        aside = Mixed(linear, lam, parents=parents)
        if max(shares) >= 1 - self.config.lam_margin:
            return aside
        masks = self.mixer(guides.first.maps[parents.index], shares, (first.shape[2], first.shape[3]))
        beside = (self.config.rho, aside) if len(shares) > 2 else None
        return Mixed(weighted(images, masks), lam, parents=parents, beside=beside)


def draw_shares(config: AdAutoMixConfig, generator: np.random.Generator) -> list[float]:
    """Shares of the K parents, uniform numbers over their sum.

    They are what a step draws first, so that the network's training can draw the same ones again.
    """
    k = int(generator.integers(2, config.parents + 1)) if config.random_parents else config.parents
    drawn = generator.beta(1, 1, size=k)
    return [float(share) for share in drawn / drawn.sum()]


def draw_parents(
    shares: list[float], n: int, generator: np.random.Generator, device: torch.device
) -> Parents:
    """Permutations of the batch, one a parent; of two parents the first is the batch as it is."""
    rows = [generator.permutation(n) for _ in shares]
    if len(shares) == 2:
        rows[0] = np.arange(n)
    index = torch.from_numpy(np.stack(rows)).to(device, non_blocking=True)
    weights = torch.tensor(shares).to(device, non_blocking=True)
    return Parents(index, weights[:, None].expand(-1, n))


def weighted(images: Tensor, masks: Tensor | list[Tensor]) -> Tensor:
    """Sum over parents of mask * images: (K, N, 3, H, W) by K masks (N, 1, H, W), in the images' type."""
    return torch.stack([mask.to(x.dtype) * x for mask, x in zip(masks, images, strict=True)]).sum(0)
