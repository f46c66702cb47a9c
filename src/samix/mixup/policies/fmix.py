"""FMix (Harris et al., 2020)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents


class FMixDraws(NamedTuple):
    """weights (2, N); kept and half, scalars, pixels of the first and half of the ramp's length; seed of the
    noise; normals, drawn on the device from the seed.
    """

    weights: Tensor
    kept: Tensor
    half: Tensor
    seed: int
    normals: Tensor | None = None


class FMix(Policy):
    """The brightest share lam of a random low-frequency image is `first`, the rest `second`; lam is kept.

    spectrum: "released", that of the published code, with which all published figures were computed: only the
    horizontal frequencies 0 and 1; "full", the paper's, a complete half spectrum of complex normals. decay:
    the amplitude is frequency ** -decay. max_soft: the border between the images is a ramp over the share
    2 * max_soft of the pixels, those whose brightness is closest to the threshold, less if lam leaves less.
    """

    cost = "static"

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

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> FMixDraws:
        """See Policy: whether the share is rounded up or down, then the seed of the noise."""
        assert isinstance(lam, float)
        size = shape.height * shape.width
        kept = (math.ceil if rng.random() < 0.5 else math.floor)(lam * shape.height * shape.width)
        half = int(size * min(self.max_soft, lam, 1 - lam))
        weights = pair_weights(lam, shape.images)
        return FMixDraws(weights, torch.tensor(kept), torch.tensor(half), int(rng.integers(2**63)))

    def expand(self, draws: FMixDraws, shape: BatchShape, device: torch.device) -> FMixDraws:
        """See Policy: normals (2, H, W // 2 + 1); of the released spectrum (2, W // 2 + 1, 2)."""
        noise = torch.Generator(device).manual_seed(draws.seed)
        columns = shape.width // 2 + 1
        size = (2, shape.height, columns) if self.spectrum == "full" else (2, columns, 2)
        normals = torch.randn(size, generator=noise, device=device)
        return draws._replace(seed=0, normals=normals)

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: FMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the mean of the mask is lam within one pixel."""
        height, width = images.shape[-2:]
        assert draws.normals is not None  # `expand` made them
        order = self._image(height, width, draws.normals).flatten().argsort(descending=True, stable=True)
        levels = self._ramp(draws, height * width)
        mask = torch.empty_like(levels).scatter_(0, order, levels).view(1, 1, height, width)
        mask = mask.expand(len(images), -1, -1, -1)
        return two_parents(blend(images, pairing.select(others), mask), pairing, draws.weights, mask)

    def _image(self, height: int, width: int, normals: Tensor) -> Tensor:
        """A random image (H, W) of low frequencies; only the order of its values matters."""
        amplitude = self._amplitude(height, width, normals.device)
        if self.spectrum == "full":
            real, imaginary = normals * amplitude
        else:
            # the released code uses the first two rows of its (H, W // 2 + 1, 2) normals as the real and the
            # imaginary part: columns become rows, and the last dimension becomes two columns
            amplitude = torch.stack([amplitude[0], amplitude[1 % height]])
            real, imaginary = normals * amplitude[..., None]
        image: Tensor = torch.fft.irfft2(torch.complex(real, imaginary), s=(height, width))
        return image

    def _amplitude(self, height: int, width: int, device: torch.device) -> Tensor:
        """frequency ** -decay (H, W // 2 + 1); frequencies below one cycle per image count as one."""
        down, across = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
        frequency = torch.hypot(down[:, None], across[None])
        return frequency.clamp(min=1 / max(height, width)) ** -self.decay

    def _ramp(self, draws: FMixDraws, size: int) -> Tensor:
        """(size,) from 1 to 0: `kept` ones, then zeros, or a ramp over 2 * half places around the step."""
        kept, half = draws.kept, draws.half
        rank = torch.arange(size, device=kept.device, dtype=torch.float32)
        sharp = (rank < kept).float()
        if self.max_soft == 0:
            return sharp
        soft = ((kept + half - 1 - rank) / (2 * half - 1)).clamp(0, 1)
        return torch.where(half > 0, soft, sharp)
