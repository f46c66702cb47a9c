"""The networks: backbone, projector, Mixer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from samix.config.base import Config


class BackboneConfig(Config):
    """A timm model and the stage whose feature map the Mixer sees."""

    name: str = Field("resnet18", description="any timm model with feature stages")
    stem: Literal["cifar", "imagenet"] = Field(
        "cifar", description="cifar: 3x3 stride 1, no max-pool (ResNets only); imagenet: the model's own"
    )
    channels: tuple[int, int, int, int] | None = Field(
        None, description="widths of the four stages of a ResNet; null: the model's own"
    )
    tap: int = Field(3, ge=0, description="stage whose map the Mixer sees (0 is the stem)")


class ProjectorConfig(Config):
    """fc - ReLU - fc, as in MoCo v2."""

    hidden: int = Field(2048, ge=1)
    out: int = Field(128, ge=1)
    norm: bool = Field(False, description="BatchNorm after both layers; short runs on small data need it")


class MixerConfig(Config):
    """The Mixer's own options (SAMix, section 'Mixer'); defaults are the paper's."""

    gamma: Literal["learnable", "fixed"] = Field(
        "learnable", description="weight of lam in the features: learnt in [0, 1] from 1, or fixed at 1"
    )
    rescale_k: float = Field(-1.0, ge=-1, le=10, description="k of the lam rescaling; -1: identity")
    activation: Literal["elu", "relu"] = Field("elu", description="of the content module")
    dropout: float = Field(0.0, ge=0, lt=1, description="on the content map, in training")
    upsample: Literal["bilinear", "nearest", "bicubic"] = "bilinear"
    init_std: float = Field(
        0.01,
        gt=0,
        description="of the first weights; 0.01 is for maps of 256 channels and more, few need more",
    )
    sigmoid_first: bool = Field(False, description="sigmoid before upsampling (paper) or after it (released)")
