"""Which images, at which size, and how they are augmented."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from samix.config.base import Config
from samix.config.names import OneOf, Registered
from samix.config.registry import SOURCES


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not 0 < low <= high:
        raise ValueError(f"({low}, {high}) is not a range: 0 < low <= high is required")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Unit = Annotated[float, Field(ge=0, le=1)]
Channels = tuple[Unit, Unit, Unit]
Interpolation = Literal["bilinear", "bicubic"]
# timm's way to write RandAugment; a section that it would skip in silence is refused here.
RandAugmentRecipe = Annotated[
    str, Field(pattern=r"^rand(-(m|n|mmax|inc)\d+|-(p|mstd)\d+(\.\d+)?|-t(weights|3a|3aw))*$")
]


class DataConfig(Config):
    """The data set, its size on the network's side and its share for testing."""

    source: Annotated[str, OneOf(SOURCES)] = Field(
        "digits",
        description="digits comes with scikit-learn; folder: root/train/CLASS/*, root/test (or val)/CLASS/*",
    )
    root: Path | None = Field(None, description="folder of the files; digits needs none")
    classes: int | None = Field(None, ge=1, description="number of classes that must be found; null: any")
    image_size: int = Field(32, ge=8, le=1024, description="side of the square images in pixels")
    stored_size: int | None = Field(
        None,
        ge=8,
        le=1024,
        description="side of the squares that are kept: training crops are cut from them, tests see their "
        "centre; null: image_size",
    )
    interpolation: Interpolation = Field("bilinear", description="how images are resized to stored_size")
    limit: int | None = Field(None, ge=1, description="training images to keep; the rest in proportion")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="test share of a source without a split")
    download: bool = Field(False, description="let torchvision download the set into root")
    mean: Channels | None = Field(None, description="per channel in [0, 1]; default: of the training images")
    std: Channels | None = Field(None, description="per channel in (0, 1]; default: of the training images")

    @model_validator(mode="after")
    def _statistics_are_usable(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together: set both or neither")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std={self.std} must be positive in every channel")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.stored_size is not None and self.stored_size < self.image_size:
            raise ValueError(f"stored_size={self.stored_size} is below image_size={self.image_size}")
        return self

    @model_validator(mode="after")
    def _download_is_possible(self) -> Self:
        if self.download and not Registered[Any](SOURCES)[self.source].downloads:
            raise ValueError(
                f"download=true: source {self.source!r} has no download, put its files into root"
            )
        return self


def _crop_within(scale: tuple[float, float]) -> tuple[float, float]:
    if scale[1] > 1:
        raise ValueError(f"crop_scale={scale}: a crop cannot be larger than its image")
    return scale


CropScale = Annotated[Range, AfterValidator(_crop_within)]


class AugmentConfig(Config):
    """Augmentation of one view; the defaults are the recipe of MoCo v2."""

    crop_scale: CropScale = Field((0.2, 1.0), description="area of the random crop, as a share of the image")
    flip: bool = Field(True, description="mirror half of the images; never where the data set forbids it")
    jitter_p: Unit = Field(0.8, description="share of images whose colours are jittered")
    brightness: float = Field(0.4, ge=0, le=1, description="factor from U(1 - b, 1 + b)")
    contrast: float = Field(0.4, ge=0, le=1, description="factor from U(1 - c, 1 + c)")
    saturation: float = Field(0.4, ge=0, le=1, description="factor from U(1 - s, 1 + s)")
    hue: float = Field(0.1, ge=0, le=0.5, description="shift from U(-h, h), in turns of the colour circle")
    gray_p: Unit = Field(0.2, description="share of images turned grey")
    blur_p: Unit = Field(0.5, description="share of images blurred")
    blur_sigma: Range = Field((0.1, 2.0), description="standard deviation of the Gaussian, in pixels")


class SupervisedAugmentConfig(Config):
    """Augmentation of supervised training; the defaults are the recipe of CIFAR: reflected crop and mirror.

    Order: crop, flip, RandAugment, colour jitter, normalisation, erasing (timm's and DeiT's).
    """

    crop: Literal["pad", "resized"] = Field(
        "pad", description="pad: shifted by up to `pad` reflected pixels; resized: random box"
    )
    pad: int = Field(4, ge=1, description="reflected pixels on every side, of crop pad")
    crop_scale: CropScale = Field((0.08, 1.0), description="area of crop resized, as a share of the image")
    interpolation: Interpolation = Field("bilinear", description="of crop resized and of RandAugment")
    flip: bool = Field(True, description="mirror half of the images; never where the data set forbids it")
    brightness: float = Field(0, ge=0, le=1, description="factor from U(1 - b, 1 + b)")
    contrast: float = Field(0, ge=0, le=1, description="factor from U(1 - c, 1 + c)")
    saturation: float = Field(0, ge=0, le=1, description="factor from U(1 - s, 1 + s)")
    rand_augment: RandAugmentRecipe | None = Field(
        None, description="RandAugment as timm writes it, such as rand-m9-mstd0.5-inc1; null: none"
    )
    erasing: Unit = Field(0, description="share of images of which a random box becomes noise")
