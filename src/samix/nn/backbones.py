"""Backbones with a tap: the feature map that the Mixer sees, and the pooled output, from one forward."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.nn.inside import altered, attention_is_kept, attention_kept
from samix.nn.known import BACKBONES, KnownBackbone
from samix.nn.narrow import subsample_narrow_convolutions
from samix.nn.stems import put_cifar_stem, takes_cifar_stem
from samix.nn.taps import ModuleTap, StageTap, Tap

_PROBE = 64
"""Side of the image that measures the tap of a network which takes any size."""


class Features(NamedTuple):
    """What a backbone gives: the map at the tap (N, C, h, w) and the pooled output (N, width)."""

    tap: Tensor
    pooled: Tensor


class Backbone(nn.Module):
    """A timm model (in `net`) with one place tapped.

    Attributes: tap_channels C; tap_stride, input pixels a tap pixel; width of the pooled output; image_size,
    (H, W) of the only images it takes, None where it takes any.
    """

    def __init__(
        self, net: nn.Module, tap: Tap, image_size: tuple[int, int] | None = None, tap_norm: bool = False
    ) -> None:
        """tap_norm: layer-normalise the tap's map over its channels.

        Without affine parameters: only the Mixer would read them, through a network that takes no gradient,
        so they would stay 1 and 0.
        """
        super().__init__()
        # channels last makes convolutions up to twice as fast, on CPUs as on tensor cores; models of one
        # image size are transformers
        self._layout = torch.channels_last if image_size is None else torch.contiguous_format
        subsample_narrow_convolutions(net)
        self.net = net.to(memory_format=self._layout)
        self.tap = tap
        self.tap_norm = tap_norm
        self.image_size = image_size
        self.width: int = net.num_features  # type: ignore[assignment]  # timm sets it on every model
        self.tap_channels, self.tap_stride = self._measure_tap()
        self._last: Callable[[Tensor], Tensor] | None = None
        self._shapes: dict[tuple[int, int], tuple[tuple[int, int, int], ...]] = {}

    def forward(self, x: Tensor) -> Features:
        """Images (N, 3, H, W) -> Features. One pass. Raises: ConfigError for images of a wrong size."""
        tapped, last = self.tap.with_last(self.net, self._prepared(x))
        if self._last is not None:
            change, self._last = self._last, None
            last = change(last)
        return Features(self._finished(tapped), self.net.forward_head(last, pre_logits=True))  # type: ignore[operator]

    def tap_map(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the tap's map (N, C, h, w); what comes later does not run."""
        return self._finished(self.tap.alone(self.net, self._prepared(x)))

    def last_map(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last features before pooling; of a CNN (N, width, h, w)."""
        last: Tensor = self.net.forward_features(self._prepared(x))  # type: ignore[operator]
        return last

    @property
    def stages(self) -> list[str]:
        """Modules that features may be changed after: the stem, then timm's stages; empty without a stem."""
        children = dict(self.net.named_children())
        stem = next((name for name in ("maxpool", "stem", "patch_embed") if name in children), None)
        if stem is None:
            return []
        names = [info["module"] for info in self.net.feature_info]  # type: ignore[union-attr]
        # timm lists features inside the stem as well: ResNets' act1, ResNetV2's stem.conv
        return [stem, *(name for name in names if name.split(".")[0] not in ("act1", stem))]

    @property
    def attends(self) -> bool:
        """Whether there is a class token whose attention to the patches can be read in every block."""
        return (
            bool(getattr(self.net, "has_class_token", False))
            and hasattr(self.net, "patch_embed")
            and attention_is_kept(list(self.net.blocks))  # type: ignore[arg-type]
        )

    @contextmanager
    def altering(self, stage: int, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Within the block, the features after a stage are `change` of what they were.

        stage: a place in `stages`, or -1, the last features before pooling. For one forward pass.
        Raises: ConfigError for a stage that the backbone has not.
        """
        if stage >= 0:
            stages = self.stages
            if stage >= len(stages):
                listed = ", ".join(f"{place}: {name}" for place, name in enumerate(stages)) or "none"
                raise ConfigError(
                    f"the backbone has no stage {stage} to mix features after; it has {listed}."
                )
            with altered(self.net, stages[stage], change):
                yield
            return
        self._last = change
        try:
            yield
        finally:
            self._last = None

    @contextmanager
    def attending(self, *, every: bool = False) -> Iterator[list[Tensor]]:
        """Within the block, a forward pass adds the last block's attention (N, T, T) to the list, or every
        block's; mean over heads, without gradient. For networks that attend.
        """
        blocks = [block.attn for block in self.net.blocks]  # type: ignore[union-attr]
        with attention_kept(blocks if every else blocks[-1:]) as kept:
            yield kept

    def looks_at(self, attention: Tensor, size: tuple[int, int]) -> Tensor:
        """Attention (N, T, T) of images of `size` (H, W) -> (N, 1, h, w), of the class token to patches."""
        height, width = self.net.patch_embed.dynamic_feat_size(size)  # type: ignore[union-attr,operator]
        prefix: int = self.net.num_prefix_tokens  # type: ignore[assignment]
        return attention[:, 0, prefix:].reshape(len(attention), 1, height, width)

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches of images of `size` (H, W), for networks that attend."""
        rows, columns = self.net.patch_embed.dynamic_feat_size(size)  # type: ignore[union-attr,operator]
        return rows, columns

    @torch.no_grad()
    def feature_shapes(self, size: tuple[int, int]) -> tuple[tuple[int, int, int], ...]:
        """(C, h, w) after each of `stages`, for images of `size` (H, W); for features that are maps."""
        if size not in self._shapes:
            found: list[tuple[int, int, int]] = []
            training = self.net.training
            self.net.eval()
            with ExitStack() as stack:
                for name in self.stages:
                    stack.enter_context(altered(self.net, name, _noted(found)))
                self.net.forward_features(torch.zeros(1, 3, *size, device=self._device()))  # type: ignore[operator]
            self.net.train(training)
            self._shapes[size] = tuple(found)
        return self._shapes[size]

    def _device(self) -> torch.device:
        return next(self.net.parameters()).device

    def _prepared(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        if self.image_size is not None and size != self.image_size:
            raise ConfigError(
                f"backbone.image_size: the backbone takes images of {self.image_size} pixels, not of {size}. "
                "Set it to their size, or resize them."
            )
        return x.contiguous(memory_format=self._layout)

    def _finished(self, tapped: Tensor) -> Tensor:
        if not self.tap_norm:
            return tapped
        channels_last = tapped.permute(0, 2, 3, 1)
        return F.layer_norm(channels_last, channels_last.shape[3:]).permute(0, 3, 1, 2).contiguous()

    @torch.no_grad()
    def _measure_tap(self) -> tuple[int, int]:
        training = self.net.training
        height, width = self.image_size or (_PROBE, _PROBE)
        self.net.eval()
        shape = tuple(self.tap_map(torch.zeros(1, 3, height, width)).shape)
        self.net.train(training)
        if shape[2] * width != shape[3] * height:  # a layout that was misread, such as NHWC inside a block
            raise ConfigError(f"backbone.tap: {self.tap} gives no map of the image, but {shape}.")
        return shape[1], height // shape[2]


def _noted(found: list[tuple[int, int, int]]) -> Callable[[Tensor], Tensor]:
    """Leaves features (1, C, h, w) as they are and appends their size."""

    def note(features: Tensor) -> Tensor:
        found.append((features.shape[1], features.shape[2], features.shape[3]))
        return features

    return note


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the backbone with random weights; `load_pretrained` gives it timm's.

    Raises: ConfigError for a name that timm does not know, a tap that the model has not (the stages are
    listed), or a stem, widths, image size or drop_path that it does not take.
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
    """Name without the tag that picks among timm's weights, as in resnet18.tv_in1k."""
    return config.name.split(".")[0]


def published(name: str) -> Any:
    """What timm says of a model's weights and input: its PretrainedCfg."""
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
    """(H, W) of the only images that the model takes; None: any."""
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
    """Whether timm builds it with its ResNet class, as it does ResNeXts; a name alone misleads (ResNetV2)."""
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
