"""Gaussian blur with one deviation an image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def kernel_size(image_size: int) -> int:
    """Odd number of taps in the share of SimCLR's 23 at 224 pixels: 9 at 96, 3 at 32."""
    return 2 * max(1, image_size * 23 // 448) + 1


def gaussian_blur(x: Tensor, sigma: Tensor, taps: int) -> Tensor:
    """Blur float (n, C, H, W) with sigma (n,) in pixels, `taps` per axis, edges reflected; sigma 0: unchanged.

    One axis at a time, each a grouped convolution whose groups are the channels of all images.
    """
    n, channels, height, width = x.shape
    kernel = _kernels(sigma.to(x.dtype), taps).repeat_interleave(channels, 0)
    pad = taps // 2
    x = functional.pad(x, (pad, pad, pad, pad), mode="reflect").reshape(1, n * channels, height + 2 * pad, -1)
    x = functional.conv2d(x, kernel[:, None, None, :], groups=n * channels)
    x = functional.conv2d(x, kernel[:, None, :, None], groups=n * channels)
    return x.reshape(n, channels, height, width)


def _kernels(sigma: Tensor, taps: int) -> Tensor:
    """Normalised Gaussians (n, taps); sigma 0 gives the unit impulse."""
    offset = torch.arange(taps, device=sigma.device, dtype=sigma.dtype) - taps // 2
    tiny = torch.finfo(sigma.dtype).tiny ** 0.25
    weight = torch.exp(-0.5 * (offset / sigma.clamp_min(tiny)[:, None]).square())
    return weight / weight.sum(1, keepdim=True)
