"""WRN-28-8 built from timm's blocks; timm has no wide ResNet for small images."""

from __future__ import annotations

from collections import OrderedDict

from timm.layers import BatchNormAct2d, create_conv2d
from timm.models.resnetv2 import ResNetV2
from torch import nn

_STEM = 16


def wrn28_8(drop_path_rate: float = 0.0) -> ResNetV2:
    """WRN-28-8 (Zagoruyko and Komodakis 2016): stem 3x3 to 16 channels, 3 x 4 blocks of 128, 256, 512.

    Basic blocks with pre-activation, BatchNorm, no dropout, no classifier. Strides of the stages: 1, 2, 4.
    """
    net = ResNetV2(
        layers=[4, 4, 4],
        channels=(128, 256, 512),
        num_classes=0,
        stem_chs=_STEM,
        basic=True,
        bottle_ratio=1.0,
        norm_layer=BatchNormAct2d,
        conv_layer=create_conv2d,
        drop_path_rate=drop_path_rate,
    )
    conv = nn.Conv2d(3, _STEM, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    net.stem = nn.Sequential(OrderedDict(conv=conv))
    for info, stride in zip(net.feature_info, (1, 1, 2, 4), strict=True):
        info["reduction"] = stride  # timm's numbers are those of its own stem
    return net
