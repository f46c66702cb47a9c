"""timm backbones with a tap: the feature map that the Mixer sees, and the pooled output, from one forward."""

from __future__ import annotations

from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError


class Features(NamedTuple):
    """What a backbone gives: the map at the tap (N, C, h, w) and the pooled output (N, width)."""

    tap: Tensor
    pooled: Tensor


class Backbone(nn.Module):
    """A timm model (in `net`) with one stage tapped.

    Attributes: tap_channels C; tap_stride, input pixels a tap pixel; width of the pooled output.
    """

    def __init__(self, net: nn.Module, tap: int) -> None:
        super().__init__()
        # channels last makes convolutions up to twice as fast, on CPUs as on tensor cores
        self.net = net.to(memory_format=torch.channels_last)
        self.tap = tap
        self.width: int = net.num_features  # type: ignore[assignment]  # timm sets it on every model
        self.tap_channels, self.tap_stride = self._measure_tap()

    def forward(self, x: Tensor) -> Features:
        """Images (N, 3, H, W) -> Features. One pass."""
        last, (tap,) = self.net.forward_intermediates(_channels_last(x), indices=[self.tap])  # type: ignore[operator]
        return Features(tap, self.net.forward_head(last, pre_logits=True))  # type: ignore[operator]

    def tap_map(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the tap's map (N, C, h, w); later stages do not run."""
        (tap,) = self.net.forward_intermediates(  # type: ignore[operator]
            _channels_last(x), indices=[self.tap], stop_early=True, intermediates_only=True
        )
        return tap  # type: ignore[no-any-return]

    @torch.no_grad()
    def _measure_tap(self) -> tuple[int, int]:
        training = self.net.training
        size = 64
        self.net.eval()
        shape = self.tap_map(torch.zeros(1, 3, size, size)).shape
        self.net.train(training)
        return shape[1], size // shape[2]


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the backbone with random weights.

    Raises: ConfigError for a name that timm does not know, a tap that the model has not (the stages are
    listed), or a stem or widths that only ResNets take.
    """
    if not timm.is_model(config.name):
        near = ", ".join(timm.list_models(f"{config.name[:6]}*")[:8])
        raise ConfigError(f"backbone.name: timm has no model {config.name!r}. Near it: {near or 'none'}.")
    options: dict[str, Any] = {}
    if config.channels is not None:
        _require(_is_resnet(config.name), config, "channels")
        options["channels"] = config.channels
    net: Any = timm.create_model(config.name, pretrained=False, num_classes=0, **options)
    stages = [info["module"] for info in net.feature_info]
    if config.tap >= len(stages):
        listed = ", ".join(f"{i}: {stage}" for i, stage in enumerate(stages))
        raise ConfigError(f"backbone.tap: {config.name} has no stage {config.tap}; it has {listed}.")
    if config.stem == "cifar":
        plain = _is_resnet(config.name) and isinstance(net.conv1, nn.Conv2d)
        _require(plain, config, "stem: cifar")
        net.conv1 = nn.Conv2d(3, net.conv1.out_channels, 3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
    return Backbone(net, config.tap)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _is_resnet(name: str) -> bool:
    """Whether timm builds it with its ResNet class, as it does ResNeXts; a name alone misleads (ResNetV2)."""
    return bool(timm.model_entrypoint(name).__module__ == "timm.models.resnet")


def _require(fits: bool, config: BackboneConfig, key: str) -> None:
    if not fits:
        raise ConfigError(
            f"backbone.{key} is for ResNets whose stem is one convolution; {config.name} takes "
            "stem: imagenet, channels: null."
        )
