"""Masks after the Mixer: the mask loss, and the post-processing of the encoder's mask."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# not samix.data.blur: samix.data imports pandas and scikit-learn, which policies do not need
from torchvision.transforms.v2.functional import gaussian_blur

from samix.config.mixing import MaskAdjustConfig, MaskLossConfig

SMALLEST_SIGMA = 0.5
"""Smallest sigma of the smoothing, in pixels; the largest one is an option."""


class AdjustDraws(NamedTuple):
    """plain and fires, bool scalars: plain mixup instead of the mask (lam margin); the mask is adjusted (mode
    "prob"). bounds (2,) of means that are not adjusted. sigma of the smoothing in pixels, on the host, since
    torchvision makes the kernel from a number; None: no smoothing.
    """

    plain: Tensor
    fires: Tensor
    bounds: Tensor
    sigma: float | None


def mask_loss(mask: Tensor, lam: Tensor, config: MaskLossConfig) -> Tensor:
    """Penalty of masks whose mean is not lam or whose values are not 0 or 1, without beta (SAMix, mask loss).

    l1_variance: max(|lam - mean| - margin, 0) - variance_weight * variance; l1: without the variance;
    l2_variance: max((lam - mean)^2 - margin^2, 0) for its first term; sparsity: max(mean of s (1 - s) -
    margin, 0). Mean and variance are of each sample, or of all pixels of the batch.

    Args: mask (N, 1, H, W) in [0, 1] of the first parent; lam in [0, 1], a scalar.
    Returns: scalar, mean over samples; may be negative in the modes with variance.
    """
    pixels = mask.float().flatten(1) if config.statistic == "sample" else mask.float().flatten()[None]
    if config.mode == "sparsity":
        away = (pixels * (1 - pixels)).mean(1) - config.margin
    elif config.mode == "l2_variance":
        away = (lam - pixels.mean(1)).square() - config.margin**2
    else:
        away = (lam - pixels.mean(1)).abs() - config.margin
    loss = away.clamp(min=0)
    if config.mode in ("l1_variance", "l2_variance"):
        loss = loss - config.variance_weight * pixels.var(1, correction=0)
    return loss.mean()


def draw_adjustment(rng: np.random.Generator, lam: float, config: MaskAdjustConfig) -> AdjustDraws:
    """Draw whether and how a mask for lam is adjusted; nothing is drawn inside the lam margin."""
    plain, fires, sigma = min(lam, 1 - lam) <= config.lam_margin, False, None
    if not plain and config.mode == "prob":
        fires = bool(rng.random() < config.probability)
    if not plain and config.smooth_sigma is not None:
        sigma = float(rng.uniform(SMALLEST_SIGMA, config.smooth_sigma))
    margin = 0.0 if config.mode == "prob" else config.margin
    bounds = torch.tensor([lam - margin, lam + margin], dtype=torch.float64).float()
    return AdjustDraws(torch.tensor(plain), torch.tensor(fires), bounds, sigma)


def adjust_mask(
    mask: Tensor,
    weights: Tensor,
    config: MaskAdjustConfig,
    draws: AdjustDraws,
    alike: Tensor | None = None,
) -> Tensor:
    """Lambda adjusting, smoothing, then the lam margin (SAMix, post-processing of the encoder's mask).

    Args: mask (N, 1, H, W) of the first parent; weights (2,), lam and 1 - lam; alike (N,) bool, pairs of one
    label, for mode "auto_label".
    Returns: mask of the same shape. If it was adjusted and not smoothed, its mean is lam.
    Raises: ValueError for mode "auto_label" without `alike`.
    """
    lam = weights[0].to(mask.dtype)
    if config.mode in ("auto", "auto_label"):
        mask = set_mean(mask, weights, draws.bounds)
    elif config.mode == "prob":
        mask = torch.where(draws.fires, set_mean(mask, weights, draws.bounds), mask)
    if config.mode == "auto_label":
        if alike is None:
            raise ValueError("mask_adjust.mode: auto_label requires the pairs that have one label")
        mask = torch.where(alike[:, None, None, None], lam, mask)
    if draws.sigma is not None and config.smooth_sigma is not None:
        mask = smooth(mask, config.smooth_sigma, draws.sigma)
    return torch.where(draws.plain, lam, mask)


def set_mean(mask: Tensor, weights: Tensor, bounds: Tensor) -> Tensor:
    """Scale masks whose mean is outside `bounds` (2,) so that it is lam, weights[0]; others are unchanged.

    Too large: the first parent's mask shrinks by lam / mean. Too small: the second parent's shrinks.
    """
    lam, rest = weights
    mask = mask.clamp(1e-8, 1 - 1e-8)
    mean = mask.mean((1, 2, 3), keepdim=True)
    # torch computes a number over a tensor as this product
    smaller = mask * (mean.reciprocal() * lam)
    larger = 1 - (1 - mask) * ((1 - mean).reciprocal() * rest)
    return torch.where(mean > bounds[1], smaller, torch.where(mean < bounds[0], larger, mask))


def smooth(mask: Tensor, largest: float, sigma: float) -> Tensor:
    """Gaussian blur of masks (N, 1, H, W), edges reflected, with one sigma in [0.5, largest] pixels for all.

    The kernel reaches at most 3 * largest pixels, and never beyond the mask.
    """
    taps = [2 * min(math.ceil(3 * largest), side - 1) + 1 for side in (mask.shape[3], mask.shape[2])]
    with torch.autocast(mask.device.type, enabled=False):  # a convolution, and masks stay float32
        blurred: Tensor = gaussian_blur(mask, taps, [sigma, sigma])
    return blurred.clamp(0, 1)
