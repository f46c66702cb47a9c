"""Backbones from their configuration."""

from __future__ import annotations

import difflib
from typing import Any

import timm
from torch import nn

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.nn.backbones import Backbone
from samix.nn.known import BACKBONES, KnownBackbone
from samix.nn.stems import put_cifar_stem, takes_cifar_stem
from samix.nn.taps import ModuleTap, StageTap, Tap


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the backbone with random weights; `load_pretrained` loads timm's.

    Raises: ConfigError for a name that timm does not know, a tap that the model does not have (the message
    lists the stages), or a stem, widths, image size or drop_path that it does not support.
    """
    known = BACKBONES.get(architecture(config))
    if known is not None and config.stem not in known.stems:
        raise _no_stem(config)
    net = create_net(config)
    if config.stem == "cifar" and (known is None or known.build is None):
        if not takes_cifar_stem(net):
            raise _no_stem(config)
        put_cifar_stem(net)
    tap = _tap_of(config, known, net)
    return Backbone(net, tap, _image_size(config), tap_norm=known is not None and known.tap_norm)


def architecture(config: BackboneConfig) -> str:
    """Name without the tag of timm's weights, such as tv_in1k in resnet18.tv_in1k."""
    return config.name.split(".")[0]


def published(name: str) -> Any:
    """timm's description of a model's weights and input, its PretrainedCfg."""
    return timm.get_pretrained_cfg(name)


def create_net(config: BackboneConfig, **options: Any) -> nn.Module:
    """The timm model of `config` with its own stem and without a classifier; options go to timm.

    Raises: ConfigError as build_backbone does.
    """
    known = BACKBONES.get(architecture(config))
    if known is not None and known.build is not None:
        _require(config.channels is None, config, "channels")
        _require(config.image_size is None, config, "image_size")
        return known.build(config.drop_path)
    if not timm.is_model(config.name):
        names = sorted({*BACKBONES, *timm.list_models()})
        near = ", ".join(difflib.get_close_matches(config.name, names, n=8))
        raise ConfigError(f"backbone.name: timm has no model {config.name!r}. Near it: {near or 'none'}.")
    if config.channels is not None:
        _require(_is_resnet(config.name), config, "channels")
        options["channels"] = config.channels
    if config.image_size is not None:
        _require(published(config.name).fixed_input_size, config, "image_size")
        options["img_size"] = config.image_size
    if config.drop_path:
        options["drop_path_rate"] = config.drop_path
    try:
        net: nn.Module = timm.create_model(config.name, **{"num_classes": 0, **options})
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise ConfigError(f"backbone: timm's {config.name} does not take {', '.join(options)}.") from error
    _check_sizes(config, net)
    return net


def _tap_of(config: BackboneConfig, known: KnownBackbone | None, net: Any) -> Tap:
    tap = known.tap if config.tap is None and known is not None else config.tap
    stages = [info["module"] for info in net.feature_info]
    listed = ", ".join(f"{i}: {stage}" for i, stage in enumerate(stages))
    if tap is None:
        raise ConfigError(f"backbone.tap: {config.name} has no default tap: name a stage of {listed}.")
    if isinstance(tap, str):
        modules = [name for name, _ in net.named_modules() if name]
        if tap not in modules:
            near = ", ".join(difflib.get_close_matches(tap, modules, n=6, cutoff=0.4)) or "none"
            raise ConfigError(
                f"backbone.tap: {config.name} has no module {tap!r}. Near it: {near}. Its stages: {listed}."
            )
        return ModuleTap(tap)
    if tap >= len(stages):
        raise ConfigError(f"backbone.tap: {config.name} has no stage {tap}; it has {listed}.")
    if not hasattr(net, "forward_intermediates"):
        raise ConfigError(
            f"backbone.tap: timm cannot stop {config.name} at a number; name a module, as of {listed}."
        )
    return StageTap(tap)


def _image_size(config: BackboneConfig) -> tuple[int, int] | None:
    """(H, W) of the only images that the model accepts; None: any."""
    if config.image_size is not None:
        return config.image_size, config.image_size
    if not timm.is_model(config.name) or not published(config.name).fixed_input_size:
        return None
    _, height, width = published(config.name).input_size
    return height, width


def _check_sizes(config: BackboneConfig, net: Any) -> None:
    if not all(parameter.numel() for parameter in net.parameters()):
        raise ConfigError(
            f"backbone.channels: {config.channels} leaves the groups of {config.name} without channels; a "
            "ResNeXt 32x4d takes 16 and more."
        )
    stride = net.feature_info[-1]["reduction"]
    if config.image_size is not None and config.image_size % stride:
        raise ConfigError(
            f"backbone.image_size is {config.image_size}, which {config.name} cannot divide into patches "
            f"without a rest: take a multiple of {stride}."
        )


def _is_resnet(name: str) -> bool:
    """Whether timm builds it with its ResNet class, as ResNeXts; the name is not enough (ResNetV2)."""
    return bool(timm.model_entrypoint(name).__module__ == "timm.models.resnet")


def _no_stem(config: BackboneConfig) -> ConfigError:
    other = "imagenet" if config.stem == "cifar" else "cifar"
    return ConfigError(
        f"backbone.stem: {config.name} has no stem {config.stem}: set it to {other}. cifar is for ResNets, "
        "ResNeXts and ConvNeXts whose stem is one convolution, and the only one of wrn28_8."
    )


def _require(fits: bool, config: BackboneConfig, key: str) -> None:
    if not fits:
        takers = {"channels": "ResNets", "image_size": "models of one image size, such as DeiT and Swin"}[key]
        raise ConfigError(f"backbone.{key} is for {takers}; {config.name} takes {key}: null.")
