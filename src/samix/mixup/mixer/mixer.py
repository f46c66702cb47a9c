"""The Mixer: two feature maps and lam in, one mask out (SAMix, Mixer)."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.networks import MixerConfig, UpsampleMode

LOGIT_LIMIT = 1e25
"""Largest absolute value of attention logits: an infinite one would make its row NaN."""

NAN_MASK = 1e-4
"""Mask of the second parent at pixels where the computed one is NaN: they stay the first parent's."""

T = TypeVar("T", float, UpsampleMode)


class MixerDraws(NamedTuple):
    """weights (2,) of the parents, lam and 1 - lam; scales (2,), the rescaled shares; mode of the upsampling,
    which selects the graph.
    """

    weights: Tensor
    scales: Tensor
    mode: UpsampleMode


class MixerMaps(NamedTuple):
    """The output of the Mixer.

    mask of the first parent (N, 1, H, W) in [0, 1]; attention (N, hw, hw), rows sum to 1; content of the
    second parent (N, 1, h, w).
    """

    mask: Tensor
    attention: Tensor
    content: Tensor


class Mixer(nn.Module):
    """M_phi(z_i, z_j, lam): lam in the features, mixing attention, content of z_j, sigmoid.

    The mask of the *second* parent is computed and the first one's is its complement, as in the released
    code and weights; the paper states the mirrored, equivalent form. Options: see MixerConfig.

    Attention, its product with the content and the sigmoid are float32 under autocast. From finite queries
    and keys in half precision nothing overflows there, so nothing is recomputed in float64: logits are
    clamped, and a NaN in the mask, which can only come from NaN maps or weights, is replaced without a check
    of the values, which would wait for the device. The gradient through such a value stays NaN.
    """

    def __init__(self, channels: int, config: MixerConfig) -> None:
        """channels: C of the feature maps, >= 2."""
        super().__init__()
        self.config = config
        half = channels // 2
        width = channels + 1 if config.encoding == "concat" else channels
        separate = config.attention == "separate"
        self.query = _projection(width if separate else 2 * width, half, config)
        self.key = None if separate else _projection(2 * width, half, config)
        self.content = _content(width, half, config)
        self.gamma = _gamma(config)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=config.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def draw(self, rng: np.random.Generator, lam: float) -> MixerDraws:
        """Draw one of rescale_k and one of upsample if they are lists, in this order; lam in [0, 1]."""
        scale = rescale_lam(lam, _one_of(self.config.rescale_k, rng))
        mode = _one_of(self.config.upsample, rng)
        pairs = torch.tensor([[lam, 1 - lam], [scale, 1 - scale]], dtype=torch.float64).float()
        return MixerDraws(pairs[0], pairs[1], mode)

    def forward(self, first: Tensor, second: Tensor, draws: MixerDraws, size: tuple[int, int]) -> MixerMaps:
        """Maps (N, C, h, w) of both parents, draws and the mask's size (H, W) -> MixerMaps."""
        weights, scales, mode = draws
        first = self._encode(first, weights[0], scales[0])
        second = self._encode(second, weights[1], scales[1])
        query, key = self._query_and_key(first, second)
        content = self.content(second)
        # fp32 island: the softmax, its product and the sigmoid lose too much in half precision
        with torch.autocast(first.device.type, enabled=False):
            attention = _attention(query.float(), key.float())
            mixed = (attention @ content.float().flatten(2).transpose(1, 2)).transpose(1, 2)
            mask = self._mask(mixed.unflatten(2, content.shape[2:]), size, mode)
            mask = mask.nan_to_num(NAN_MASK)
        return MixerMaps(1 - mask, attention, content)

    def clamp_gamma(self) -> None:
        """Keep gamma, if there is one, in [0, 1]; called after each optimiser step."""
        if self.gamma is not None:
            self.gamma.data.clamp_(0, 1)

    def _encode(self, maps: Tensor, share: Tensor, scale: Tensor) -> Tensor:
        """The maps of a parent, with its share of the mix encoded in them; scale is the rescaled share."""
        if self.gamma is not None:
            return maps * (1 + self.gamma * scale)
        if self.config.encoding == "concat":
            return torch.cat([maps, share.to(maps.dtype).expand_as(maps[:, :1])], 1)
        return maps

    def _query_and_key(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        if self.key is None:
            return self.query(first), self.query(second)
        pair = torch.cat([first, second], 1)
        return self.query(pair), self.key(pair)

    def _mask(self, logits: Tensor, size: tuple[int, int], mode: UpsampleMode) -> Tensor:
        if self.config.sigmoid_first:
            return _upsample(logits.sigmoid(), size, mode).clamp(0, 1)  # bicubic overshoots
        return _upsample(logits, size, mode).sigmoid()


def rescale_lam(lam: float, k: float) -> float:
    """Flatten the middle of lam for the feature scaling: L(0) = 0, L(1/2) = 1/2, L(1) = 1 (released code).

    k = -1: identity; small k in [0, 10] flattens more. Never used for labels.
    """
    if k == -1:
        return lam
    slope = k + 1
    return ((4 / 3) * lam**3 - 2 * lam**2 + slope * lam) / (slope - 2 / 3)


def _projection(channels: int, out: int, config: MixerConfig) -> nn.Module:
    """1x1 convolution to queries or keys, without a bias if a norm follows."""
    if config.qk_norm:
        return nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))
    return nn.Conv2d(channels, out, 1)


def _content(channels: int, hidden: int, config: MixerConfig) -> nn.Sequential:
    """Maps (N, channels, h, w) -> (N, 1, h, w): C_NCL, or AutoMix's one convolution."""
    if config.content == "linear":
        return nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Dropout(config.dropout))
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1, bias=False),
        nn.BatchNorm2d(hidden) if config.norm == "batch" else LayerNorm2d(hidden),
        nn.ELU(inplace=True) if config.activation == "elu" else nn.ReLU(inplace=True),
        nn.Conv2d(hidden, 1, 1, bias=False),
        nn.Dropout(config.dropout),
    )


def _gamma(config: MixerConfig) -> Tensor | None:
    if config.encoding != "adaptive":
        return None
    one = torch.ones(())
    return nn.Parameter(one) if config.gamma == "learnable" else nn.Buffer(one)


def _one_of(option: T | tuple[T, ...], rng: np.random.Generator) -> T:
    """The value, or one of a list of values, drawn evenly."""
    return option[int(rng.integers(len(option)))] if isinstance(option, tuple) else option


def _attention(query: Tensor, key: Tensor) -> Tensor:
    """Softmax over the keys; (N, d, h, w) both -> (N, hw, hw)."""
    logits = query.flatten(2).transpose(1, 2) @ key.flatten(2) / math.sqrt(query.shape[1])
    return logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).softmax(-1)


def _upsample(x: Tensor, size: tuple[int, int], mode: UpsampleMode) -> Tensor:
    return F.interpolate(x, size, mode=mode, align_corners=None if mode == "nearest" else False)
