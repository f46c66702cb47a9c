"""FMix (Harris et al., 2020)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Policy, blend


class FMix(Policy):
    """The brightest share lam of a random low-frequency image is `first`, the rest `second`; lam stays.

    spectrum: "released", that of the published code, from which all published figures come: only the
    horizontal frequencies 0 and 1; "full", the paper's, a whole half spectrum of complex normals. decay: the
    amplitude falls with frequency ** -decay. max_soft: the border between the images is a ramp over the
    2 * max_soft of the pixels whose brightness is closest to the threshold, less where lam leaves less.
    """

    cost: ClassVar[Cost] = "S"

    def __init__(
        self, spectrum: Literal["released", "full"] = "released", decay: float = 3.0, max_soft: float = 0.0
    ) -> None:
        """Raises: ConfigError for max_soft outside [0, 0.5) or a negative decay."""
        super().__init__()
        if not 0 <= max_soft < 0.5:
            raise ConfigError(f"FMix: max_soft {max_soft} must be in [0, 0.5)")
        if decay < 0:
            raise ConfigError(f"FMix: decay {decay} must not be negative")
        self.spectrum = spectrum
        self.decay = decay
        self.max_soft = max_soft

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with a mask whose mean is lam but for a pixel."""
        height, width = first.shape[-2:]
        kept = (math.ceil if generator.random() < 0.5 else math.floor)(lam * height * width)
        noise = torch.Generator(first.device).manual_seed(int(generator.integers(2**63)))
        waves = self._image(height, width, noise)
        levels = _ramp(height * width, kept, min(self.max_soft, lam, 1 - lam), waves.device)
        order = waves.flatten().argsort(descending=True, stable=True)
        mask = torch.empty_like(levels).scatter_(0, order, levels).view(1, 1, height, width)
        mask = mask.expand(len(first), -1, -1, -1)
        return Mixed(blend(first, second, mask), lam, mask)

    def _image(self, height: int, width: int, noise: torch.Generator) -> Tensor:
        """A random image (H, W) of low frequencies; only the order of its values matters."""
        amplitude = self._amplitude(height, width, noise.device)
        if self.spectrum == "full":
            normals = torch.randn(2, *amplitude.shape, generator=noise, device=noise.device)
            real, imaginary = normals * amplitude
        else:
            # the released code takes the first two rows of its (H, W // 2 + 1, 2) normals for the real and
            # the imaginary part: columns become rows, the two last ones become columns
            amplitude = torch.stack([amplitude[0], amplitude[1 % height]])
            normals = torch.randn(*amplitude.shape, 2, generator=noise, device=noise.device)
            real, imaginary = normals * amplitude[..., None]
        image: Tensor = torch.fft.irfft2(torch.complex(real, imaginary), s=(height, width))
        return image

    def _amplitude(self, height: int, width: int, device: torch.device) -> Tensor:
        """frequency ** -decay (H, W // 2 + 1); frequencies below one cycle an image count as one."""
        down, across = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
        frequency = torch.hypot(down[:, None], across[None])
        return frequency.clamp(min=1 / max(height, width)) ** -self.decay


def _ramp(size: int, kept: int, soft: float, device: torch.device) -> Tensor:
    """(size,) from 1 to 0: `kept` ones, or a line over 2 * int(size * soft) places around the step."""
    rank, half = torch.arange(size, device=device, dtype=torch.float32), int(size * soft)
    if half == 0:
        return (rank < kept).float()
    return ((kept + half - 1 - rank) / (2 * half - 1)).clamp(0, 1)
