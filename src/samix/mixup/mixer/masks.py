"""Masks after the Mixer: the mask loss, and what is done to the encoder's mask."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# not samix.data.blur: samix.data brings pandas and scikit-learn along, which policies do without
from torchvision.transforms.v2.functional import gaussian_blur

from samix.config.mixing import MaskAdjustConfig, MaskLossConfig

SMALLEST_SIGMA = 0.5
"""Of the smoothing, in pixels; the largest one is an option."""


def mask_loss(mask: Tensor, lam: float, config: MaskLossConfig) -> Tensor:
    """How far a mask is from what a mask should be, without beta (SAMix, mask loss).

    l1_variance: max(|lam - mean| - margin, 0) - variance_weight * variance; l1: without the variance;
    l2_variance: max((lam - mean)^2 - margin^2, 0) for its first term; sparsity: max(mean of s (1 - s) -
    margin, 0). Mean and variance are of each sample, or of all pixels of the batch.

    Args: mask (N, 1, H, W) in [0, 1] of the first parent; lam in [0, 1].
    Returns: scalar, mean over samples; may be negative where variance is rewarded.
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


def adjust_mask(
    mask: Tensor,
    lam: float,
    config: MaskAdjustConfig,
    generator: np.random.Generator,
    alike: Tensor | None = None,
) -> Tensor:
    """Lambda adjusting, smoothing, then the lam margin (SAMix, post-processing of the encoder's mask).

    Args: mask (N, 1, H, W) of the first parent; lam in [0, 1]; generator, used by mode "prob" and then by the
    smoothing; alike (N,) bool, pairs of one label, for mode "auto_label".
    Returns: mask of the same shape. Where the adjusting fired, its mean is lam, unless it was smoothed.
    Raises: ValueError for mode "auto_label" without `alike`.
    """
    if min(lam, 1 - lam) <= config.lam_margin:
        return torch.full_like(mask, lam)
    if config.mode in ("auto", "auto_label"):
        mask = set_mean(mask, lam, config.margin)
    elif config.mode == "prob" and generator.random() < config.probability:
        mask = set_mean(mask, lam, margin=0.0)
    if config.mode == "auto_label":
        if alike is None:
            raise ValueError("mask_adjust.mode: auto_label needs to know which pairs have one label")
        mask = mask.masked_fill(alike[:, None, None, None], lam)
    if config.smooth_sigma is not None:
        mask = smooth(mask, config.smooth_sigma, generator)
    return mask


def set_mean(mask: Tensor, lam: float, margin: float) -> Tensor:
    """Scale masks whose mean is further than `margin` from lam so that it equals lam; others stay.

    Too large: the first parent's mask shrinks by lam / mean. Too small: the second parent's shrinks.
    """
    mask = mask.clamp(1e-8, 1 - 1e-8)
    mean = mask.mean((1, 2, 3), keepdim=True)
    smaller = mask * (lam / mean)
    larger = 1 - (1 - mask) * ((1 - lam) / (1 - mean))
    return torch.where(mean > lam + margin, smaller, torch.where(mean < lam - margin, larger, mask))


def smooth(mask: Tensor, largest: float, generator: np.random.Generator) -> Tensor:
    """Gaussian blur of masks (N, 1, H, W), edges reflected, with one sigma ~ U(0.5, largest) pixels for all.

    Weights reach 3 * largest pixels at most, and never beyond the mask.
    """
    sigma = float(generator.uniform(SMALLEST_SIGMA, largest))
    taps = [2 * min(math.ceil(3 * largest), side - 1) + 1 for side in (mask.shape[3], mask.shape[2])]
    with torch.autocast(mask.device.type, enabled=False):  # a convolution, and masks stay float32
        blurred: Tensor = gaussian_blur(mask, taps, [sigma, sigma])
    return blurred.clamp(0, 1)
