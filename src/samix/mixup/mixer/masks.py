"""Masks after the Mixer: the mask loss, and what is done to the encoder's mask."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from samix.config.mixing import MaskAdjustConfig, MaskLossConfig


def mask_loss(mask: Tensor, lam: float, config: MaskLossConfig) -> Tensor:
    """max(|lam - mean| - margin, 0) - variance_weight * variance, without beta (SAMix, mask loss).

    Args: mask (N, 1, H, W) in [0, 1] of the first parent; lam in [0, 1].
    Returns: scalar, mean over samples; may be negative, because variance is rewarded.
    """
    pixels = mask.float().flatten(1) if config.statistic == "sample" else mask.float().flatten()[None]
    away = (lam - pixels.mean(1)).abs() - config.margin
    variance = pixels.var(1, correction=0)
    return (away.clamp(min=0) - config.variance_weight * variance).mean()


def adjust_mask(mask: Tensor, lam: float, config: MaskAdjustConfig, generator: np.random.Generator) -> Tensor:
    """Lambda adjusting, then the lam margin (SAMix, post-processing of the encoder's mask).

    Args: mask (N, 1, H, W) of the first parent; lam in [0, 1]; generator, used by mode "prob".
    Returns: mask of the same shape. Where the adjusting fired, its mean is lam.
    """
    if min(lam, 1 - lam) <= config.lam_margin:
        return torch.full_like(mask, lam)
    if config.mode == "auto":
        return set_mean(mask, lam, config.margin)
    if config.mode == "prob" and generator.random() < config.probability:
        return set_mean(mask, lam, margin=0.0)
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
