"""GuidedMixup (Kang and Kim, 2023)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, complemented
from samix.mixup.pairing import Pairing
from samix.mixup.policy import ImageInfo, Mixed, PairInfo, Policy, blend, two_parents

_LONGEST = 64
"""Pixels of the longer side that the spectral residual is computed at."""


class GuidedMixup(Policy):
    """Every pixel is mixed by the saliency of the two images there; lam is the mean of each mask.

    The given lam is not used. saliency: "ap", the gradient of the network's loss with respect to the pixels;
    "sr", the spectral residual, which needs no network. Images are paired so that their salient places are
    far apart, by `greedy_cycle`, as in the paper (the published code computes this pairing and does not use
    it); other pairings work as well.
    """

    cost = "saliency"
    chooses_partners = True

    def __init__(self, saliency: Literal["ap", "sr"] = "ap") -> None:
        """Raises: ConfigError for another saliency."""
        super().__init__()
        if saliency not in ("ap", "sr"):
            raise ConfigError(f"GuidedMixup: saliency {saliency!r} must be ap or sr")
        self.residual = saliency == "sr"
        self.requires = frozenset() if self.residual else frozenset({"saliency"})

    @torch.no_grad()
    def info_from(self, images: Tensor, info: ImageInfo) -> ImageInfo:
        """The saliency (N, 1, H, W) of images (N, 3, H, W), blurred, each with sum 1.

        Raises: ValueError if it must be given and is missing.
        """
        raw = spectral_residual(images) if self.residual else info.saliency
        if raw is None:
            raise ValueError(
                "GuidedMixup requires the saliency of the images; with saliency: sr it computes its own"
            )
        raw = raw.float()
        # gradients may be of any scale: the largest becomes 1, so that 1e-12 is equally small for all images
        blurred = _blur(raw / raw.amax((2, 3), keepdim=True).clamp(min=1e-30)) + 1e-12
        return info._replace(saliency=blurred / blurred.sum((2, 3), keepdim=True))

    def choose_partners(self, info: ImageInfo, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """See Policy: the greedy cycle over the saliency. Raises: ValueError for a single image."""
        if n < 2:
            raise ValueError("mixing requires at least two images in the batch")
        assert info.saliency is not None  # `info_from` has raised without it
        return greedy_cycle(info.saliency)

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> None:
        """See Policy; draws nothing."""

    def forward(self, images: Tensor, others: Tensor, pairing: Pairing, draws: None, info: PairInfo) -> Mixed:
        """See Policy. Raises: ValueError if the saliency of a parent is missing."""
        own, other = info.first.saliency, info.second.saliency
        if own is None or other is None:
            raise ValueError("GuidedMixup requires the saliency of both parents, as `info_from` computes it")
        mask = own / (own + other)
        mixed = blend(images, pairing.select(others), mask)
        return two_parents(mixed, pairing, complemented(mask.mean((1, 2, 3))), mask)


@torch.no_grad()
def spectral_residual(images: Tensor) -> Tensor:
    """The spectral residual of the grey image, transformed back to pixels (Hou and Zhang).

    The residual is the log amplitude less its mean over 3 x 3 frequencies (the spectrum is periodic); it does
    not depend on the brightness or contrast of the image. Sides are averaged down to at most 64 pixels.
    Args: images (N, 3, H, W).   Returns: (N, 1, H, W), not negative, float32.
    """
    height, width = images.shape[-2:]
    grey = images.float().mean(1, keepdim=True)
    shrink = min(1.0, _LONGEST / max(height, width))
    small = F.adaptive_avg_pool2d(grey, (max(1, round(height * shrink)), max(1, round(width * shrink))))
    spectrum = torch.fft.fft2(small)
    log_amplitude = spectrum.abs().clamp(min=1e-8).log()
    rows = sum(log_amplitude.roll(step, 2) for step in (-1, 0, 1))
    mean = sum(rows.roll(step, 3) for step in (-1, 0, 1)) / 9
    residual = torch.polar((log_amplitude - mean).exp(), spectrum.angle())
    saliency = torch.fft.ifft2(residual).abs() ** 2
    return F.interpolate(saliency, (height, width), mode="bilinear", align_corners=False)


def _blur(maps: Tensor) -> Tensor:
    """Gaussian blur with 7 x 7 pixels and sigma 3; pixels at the border are repeated outwards."""
    weights = torch.exp(-((torch.arange(7, device=maps.device, dtype=maps.dtype) - 3) ** 2) / (2 * 3**2))
    weights = weights / weights.sum()
    padded = F.pad(maps, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, 1, 7)), weights.view(1, 1, 7, 1))


@torch.no_grad()
def greedy_cycle(maps: Tensor) -> Tensor:
    """Partners by saliency: a cycle through the batch, from each image to the farthest free one.

    It starts with the most distant pair (L2, the first of equals) and returns to its first image.
    Args: maps (N, ...), N at least 2.   Returns: (N,), the partner of each image, never the image itself.
    """
    n = len(maps)
    distance = torch.cdist(maps.flatten(1), maps.flatten(1)).fill_diagonal_(-torch.inf)
    start = distance.flatten().argmax().view(1)
    origin, current = start // n, start % n
    index = torch.empty(n, dtype=torch.long, device=maps.device).scatter_(0, origin, current)
    taken = torch.zeros(n, dtype=torch.bool, device=maps.device).scatter_(0, origin, True)
    for _ in range(n - 2):
        taken.scatter_(0, current, True)
        farthest = distance.index_select(0, current)[0].masked_fill(taken, -torch.inf).argmax().view(1)
        index.scatter_(0, current, farthest)
        current = farthest
    return index.scatter_(0, current, origin)
