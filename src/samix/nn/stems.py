"""Stems for small images: 3x3 with stride 1 in place of the model's own, no max-pool."""

from __future__ import annotations

from typing import Any

from timm.models.convnext import ConvNeXt
from timm.models.resnet import ResNet
from torch import nn


def takes_cifar_stem(net: nn.Module) -> bool:
    """Whether `net` is a ResNet, ResNeXt or ConvNeXt whose stem is one convolution."""
    if isinstance(net, ResNet):
        return isinstance(net.conv1, nn.Conv2d)
    if isinstance(net, ConvNeXt):
        return len(net.stem) == 2  # convolution and norm; the deeper stems have more
    return False


def put_cifar_stem(net: nn.Module) -> None:
    """Replace the stem of a net that `takes_cifar_stem`; weights are drawn as timm draws them."""
    if isinstance(net, ResNet):
        _put_resnet_stem(net)
    else:
        _put_convnext_stem(net)


def _put_resnet_stem(net: Any) -> None:
    net.conv1 = nn.Conv2d(3, net.conv1.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    net.maxpool = nn.Identity()


def _put_convnext_stem(net: Any) -> None:
    """The norm after the convolution is kept; the stages then have strides 1, 2, 4, 8."""
    net.stem[0] = nn.Conv2d(3, net.stem[0].out_channels, 3, stride=1, padding=1)
    nn.init.trunc_normal_(net.stem[0].weight, std=0.02)
    nn.init.zeros_(net.stem[0].bias)
