"""The networks: backbone, projector, Mixer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from samix.config.base import Config

UpsampleMode = Literal["bilinear", "nearest", "bicubic"]


def _k_of_rescaling(k: float) -> float:
    if k != -1 and not 0 <= k <= 10:
        raise ValueError(f"k of the lam rescaling is -1 (identity) or in [0, 10], not {k}")
    return k


RescaleK = Annotated[float, AfterValidator(_k_of_rescaling)]


class BackboneConfig(Config):
    """A timm model, or WRN-28-8, and the tap: where the map that the Mixer sees comes from."""

    name: str = Field(
        "resnet18",
        description="of `samix table backbones`, or any timm model; name.tag picks among timm's weights",
    )
    stem: Literal["cifar", "imagenet"] = Field(
        "cifar",
        description="cifar: 3x3 stride 1, no max-pool (ResNet, ConvNeXt, WRN); imagenet: the model's own",
    )
    channels: tuple[int, int, int, int] | None = Field(
        None, description="widths of the four stages of a ResNet; null: the model's own"
    )
    tap: Annotated[int, Field(ge=0)] | Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="stage of timm's forward_intermediates (of a ResNet 0 is the stem, 3 is layer3), or the "
        "name of a module inside the timm model; null: the default of the table",
    )
    image_size: int | None = Field(
        None, ge=1, description="side of the images, for transformers; null: the model's own, mostly 224"
    )
    drop_path: float = Field(0.0, ge=0, lt=1, description="stochastic depth: rate of the last block")
    pretrained: bool = Field(False, description="start from timm's own weights, which it downloads")
    pretrained_file: Path | None = Field(
        None, description="take them from this file instead: .pth or .safetensors, as timm publishes them"
    )

    @property
    def files(self) -> list[Path]:
        """Files that the initial weights are read from."""
        return [] if self.pretrained_file is None else [self.pretrained_file]

    @model_validator(mode="after")
    def _weights_can_fit(self) -> Self:
        if self.pretrained_file is not None and not self.pretrained:
            raise ValueError("pretrained_file is read only with pretrained: true")
        if self.pretrained and self.stem == "cifar":
            raise ValueError("pretrained: timm's weights are for stem: imagenet, they cannot fit stem: cifar")
        if self.pretrained and self.channels is not None:
            raise ValueError("pretrained: timm's weights are for channels: null, the model's own widths")
        return self


class ProjectorConfig(Config):
    """fc - ReLU - fc, as in MoCo v2."""

    hidden: int = Field(2048, ge=1)
    out: int = Field(128, ge=1)
    norm: bool = Field(False, description="BatchNorm after both layers; short runs on small data need it")


class MixerConfig(Config):
    """The Mixer's own options (SAMix, section 'Mixer'); defaults are the paper's.

    AutoMix's MixBlock is {attention: separate, content: linear, upsample: nearest, encoding: concat}, with
    encoding: none on CIFAR and Tiny-ImageNet; its mask loss is the mode l1 of MaskLossConfig.
    """

    encoding: Literal["adaptive", "concat", "none"] = Field(
        "adaptive",
        description="how the maps learn lam: adaptive: scaled by 1 + gamma * lam; concat: one more channel "
        "that is lam everywhere; none: not at all",
    )
    gamma: Literal["learnable", "fixed"] = Field(
        "learnable", description="adaptive: weight of lam in the maps, learnt in [0, 1] from 1, or fixed at 1"
    )
    rescale_k: RescaleK | Annotated[tuple[RescaleK, ...], Field(min_length=1)] = Field(
        -1.0, description="adaptive: k of the lam rescaling; -1: identity; a list: one is drawn per call"
    )
    attention: Literal["concat", "separate"] = Field(
        "concat",
        description="concat: query and key from both maps, by a convolution each; separate: query from the "
        "first map, key from the second, by one convolution for both",
    )
    qk_norm: bool = Field(False, description="BatchNorm on queries and keys; helps float16")
    content: Literal["nonlinear", "linear"] = Field(
        "nonlinear", description="nonlinear: two convolutions with norm and activation; linear: one"
    )
    norm: Literal["batch", "layer"] = Field("batch", description="of the nonlinear content module")
    activation: Literal["elu", "relu"] = Field("elu", description="of the nonlinear content module")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the content map, in training")
    upsample: UpsampleMode | Annotated[tuple[UpsampleMode, ...], Field(min_length=1)] = Field(
        "bilinear", description="from the maps' size to the mask's; a list: one is drawn per call"
    )
    init_std: float = Field(
        0.01,
        gt=0,
        description="of the first weights; 0.01 is for maps of 256 channels and more, few need more",
    )
    sigmoid_first: bool = Field(False, description="sigmoid before upsampling (paper) or after it (released)")
