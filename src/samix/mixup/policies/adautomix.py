"""AdAutoMix (Qin et al., 2024)."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.adautomix import AdAutoMixConfig
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy


class AdversarialMixer(nn.Module):
    """From K feature maps and their shares to K masks that sum to 1 at every pixel (AdAutoMix, generator)."""

    def __init__(self, channels: int, init_std: float) -> None:
        """channels: C of the maps, >= 2; init_std: standard deviation of the initial weights."""
        super().__init__()
        half = channels // 2
        self.query = nn.Conv2d(channels + 1, half, 1)
        self.key = nn.Conv2d(channels + 1, half, 1)
        self.content = nn.Conv2d(channels + 1, 1, 1)
        for conv in (self.query, self.key, self.content):
            nn.init.normal_(conv.weight, std=init_std)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, maps: Tensor, shares: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps (K, N, C, h, w), shares (K,) and the mask's size (H, W) -> masks (K, N, 1, H, W), float32.

        Each parent attends to all the others: A_k = softmax(sum over l != k of q_k k_l^T / sqrt(d)).
        """
        k, n, _, h, w = maps.shape
        channel = shares.to(maps.dtype).view(-1, 1, 1, 1, 1).expand(k, n, 1, h, w)
        flat = torch.cat([channel, maps], 2).flatten(0, 1)
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


class AdAutoMixDraws(NamedTuple):
    """shares (K,) of the parents; rows (K, N) of the batch; linear: only the linear mix, if the largest share
    is at least 1 - lam_margin. K and linear select the graph.
    """

    shares: Tensor
    rows: Tensor
    linear: bool


class AdAutoMix(Policy):
    """K images of the batch, mixed by masks that sum to 1; the labels' weights are the drawn shares.

    The shares are K uniform numbers over their sum; the given lam is not used. With three or more parents
    each is its own permutation of the batch; with two, the first is the batch itself.
    """

    cost = "learned"
    requires = frozenset({"maps"})
    many_parents = True
    classes = True
    Options = AdAutoMixConfig
    uses_mixer = "online"
    extra_requirement = "its own network, trained together with a classifier"

    def __init__(self, mixer: AdversarialMixer, config: AdAutoMixConfig) -> None:
        super().__init__()
        self.mixer = mixer
        self.config = config
        self.plain_weight = 1 - config.rho

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        return cls(AdversarialMixer(6, init_std=0.3), AdAutoMixConfig())

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> AdAutoMixDraws:  # noqa: ARG002
        """See Policy: the shares, then a permutation for each parent."""
        return draw_parents(self.config, draw_shares(self.config, rng), shape.images, rng)

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: AdAutoMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the partners are not used. With three or more parents `extra` is the linear mix.

        Raises: ValueError if the maps are missing.
        """
        if info.first.maps is None:
            raise ValueError("AdAutoMix requires the feature maps of the batch")
        parents = images[draws.rows]
        linear = draws.shares.view(-1, 1, 1, 1, 1).expand(-1, len(images), 1, *images.shape[2:])
        aside = self._mixed(parents, linear, draws)
        if draws.linear:
            return aside
        size = (images.shape[2], images.shape[3])
        masks = self.mixer(info.first.maps[draws.rows], draws.shares, size)
        extra = (self.config.rho, aside) if len(draws.shares) > 2 else None
        return self._mixed(parents, masks, draws, extra)

    def _mixed(
        self, parents: Tensor, masks: Tensor, draws: AdAutoMixDraws, extra: tuple[float, Mixed] | None = None
    ) -> Mixed:
        weights = draws.shares[:, None].expand(-1, parents.shape[1])
        several = len(masks) > 2
        mask = masks if several else masks[0]
        return Mixed(weighted(parents, masks), draws.rows, weights, mask, own_first=not several, extra=extra)


def draw_shares(config: AdAutoMixConfig, rng: np.random.Generator) -> np.ndarray:
    """Shares (K,) of the parents, uniform numbers over their sum.

    They are drawn first, so that the training of the mixing network can use them with other parents.
    """
    k = int(rng.integers(2, config.parents + 1)) if config.random_parents else config.parents
    drawn = rng.beta(1, 1, size=k)
    return np.asarray(drawn / drawn.sum())


def draw_parents(
    config: AdAutoMixConfig, shares: np.ndarray, n: int, rng: np.random.Generator
) -> AdAutoMixDraws:
    """Permutations of the batch, one per parent; with two parents the first is the batch itself."""
    rows = [rng.permutation(n) for _ in shares]
    if len(shares) == 2:
        rows[0] = np.arange(n)
    linear = bool(shares.max() >= 1 - config.lam_margin)
    return AdAutoMixDraws(torch.tensor(shares).float(), torch.from_numpy(np.stack(rows)), linear)


def weighted(images: Tensor, masks: Tensor) -> Tensor:
    """Sum over K of mask * images: images (K, N, 3, H, W), masks (K, N, 1, H, W); in the images' type."""
    return torch.stack([mask.to(x.dtype) * x for mask, x in zip(masks, images, strict=True)]).sum(0)
