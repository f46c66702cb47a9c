"""A workaround for a crash of oneDNN in the backward pass of some strided convolutions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

_BLOCK = 16
"""Channels that oneDNN's widest kernels process at once."""


class SubsampledConv2d(nn.Conv2d):
    """A strided 1x1 convolution as a convolution of the subsampled input: the same sums."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) -> (N, D, ceil(H / stride), ceil(W / stride))."""
        down, across = self.stride
        return F.conv2d(x[..., ::down, ::across], self.weight, self.bias, groups=self.groups)


def subsample_narrow_convolutions(net: nn.Module) -> None:
    """Replace, in place, the strided 1x1 convolutions of `net` that crash in channels_last.

    With torch 2.15 the backward pass of such a layer writes beyond its memory on CPUs, with AVX2 and with
    AVX-512, if its channels do not fill the vector registers: the process ends without an error message.
    """
    for module in net.modules():
        if type(module) is nn.Conv2d and _crashes(module):
            module.__class__ = SubsampledConv2d


def _crashes(conv: nn.Conv2d) -> bool:
    narrow = conv.in_channels % _BLOCK or conv.out_channels % _BLOCK
    return bool(narrow and conv.kernel_size == (1, 1) and max(conv.stride) > 1 and conv.padding == (0, 0))
