"""The Mixer: two feature maps and lam in, one mask out (SAMix, Mixer)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.networks import MixerConfig


class MixerMaps(NamedTuple):
    """What the Mixer gives.

    mask of the first parent (N, 1, H, W) in (0, 1); attention (N, hw, hw), rows sum to 1; content of the
    second parent (N, 1, h, w).
    """

    mask: Tensor
    attention: Tensor
    content: Tensor


class Mixer(nn.Module):
    """M_phi(z_i, z_j, lam): lam-scaled features, mixing attention, content of z_j, sigmoid.

    The mask of the *second* parent is computed and the first one's is its complement, as in the released
    code and weights; the paper states the mirrored, equivalent form.
    """

    def __init__(self, channels: int, config: MixerConfig) -> None:
        """channels: C of the feature maps, >= 2."""
        super().__init__()
        self.config = config
        half = channels // 2
        self.query = nn.Conv2d(2 * channels, half, 1)
        self.key = nn.Conv2d(2 * channels, half, 1)
        self.content = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ELU(inplace=True) if config.activation == "elu" else nn.ReLU(inplace=True),
            nn.Conv2d(half, 1, 1, bias=False),
            nn.Dropout(config.dropout),
        )
        gamma = torch.ones(())
        self.gamma = nn.Parameter(gamma) if config.gamma == "learnable" else nn.Buffer(gamma)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=config.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, first: Tensor, second: Tensor, lam: float, size: tuple[int, int]) -> MixerMaps:
        """Maps (N, C, h, w) of both parents, lam in [0, 1] and the mask's size (H, W) -> MixerMaps."""
        scale = rescale_lam(lam, self.config.rescale_k)
        first = first * (1 + self.gamma * scale)
        second = second * (1 + self.gamma * (1 - scale))
        pair = torch.cat([first, second], 1)
        query, key, content = self.query(pair), self.key(pair), self.content(second)
        # fp32 island: the softmax, its product and the sigmoid lose too much in half precision
        with torch.autocast(first.device.type, enabled=False):
            attention = self._attention(query.float(), key.float())
            mixed = (attention @ content.float().flatten(2).transpose(1, 2)).transpose(1, 2)
            mask = self._mask(mixed.unflatten(2, content.shape[2:]), size)
        return MixerMaps(1 - mask, attention, content)

    def clamp_gamma(self) -> None:
        """Keep gamma in [0, 1]; called after each optimiser step."""
        self.gamma.data.clamp_(0, 1)

    def _attention(self, query: Tensor, key: Tensor) -> Tensor:
        logits = query.flatten(2).transpose(1, 2) @ key.flatten(2) / math.sqrt(query.shape[1])
        return logits.softmax(-1)

    def _mask(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        if self.config.sigmoid_first:
            return self._upsample(logits.sigmoid(), size).clamp(0, 1)  # bicubic overshoots
        return self._upsample(logits, size).sigmoid()

    def _upsample(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        mode = self.config.upsample
        return F.interpolate(x, size, mode=mode, align_corners=None if mode == "nearest" else False)


def rescale_lam(lam: float, k: float) -> float:
    """Flatten the middle of lam for the feature scaling: L(0) = 0, L(1/2) = 1/2, L(1) = 1 (released code).

    k = -1: identity; small k in [0, 10] flattens more. Never used for labels.
    """
    if k == -1:
        return lam
    slope = k + 1
    return ((4 / 3) * lam**3 - 2 * lam**2 + slope * lam) / (slope - 2 / 3)
