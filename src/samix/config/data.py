"""Which images, at which size, and how they are augmented."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from samix.config.base import Config


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if not 0 < low <= high:
        raise ValueError(f"({low}, {high}) is no range: it needs 0 < low <= high")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Unit = Annotated[float, Field(ge=0, le=1)]
Channels = tuple[Unit, Unit, Unit]


class DataConfig(Config):
    """The data set, its size on the network's side and its share for testing."""

    source: Literal["digits", "fashion_mnist", "cifar100", "folder"] = Field(
        "digits", description="digits comes with scikit-learn; folder: root/train/CLASS/*, root/test/CLASS/*"
    )
    root: Path | None = Field(None, description="folder of the files; digits needs none")
    image_size: int = Field(32, ge=8, le=1024, description="side of the square images in pixels")
    limit: int | None = Field(None, ge=1, description="training images to keep; test in proportion")
    test_fraction: float = Field(0.2, gt=0, lt=1, description="test share where a source has no split")
    download: bool = Field(False, description="let torchvision download fashion_mnist or cifar100 into root")
    mean: Channels | None = Field(None, description="per channel in [0, 1]; default: of the training images")
    std: Channels | None = Field(None, description="per channel in (0, 1]; default: of the training images")

    @model_validator(mode="after")
    def _statistics_are_usable(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together: set both or neither")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std={self.std} must be positive in every channel")
        return self


class AugmentConfig(Config):
    """Augmentation of one view; the defaults are the recipe of MoCo v2."""

    crop_scale: Range = Field((0.2, 1.0), description="area of the random crop, as a share of the image")
    crop_ratio: Range = Field((3 / 4, 4 / 3), description="width / height of the random crop")
    flip: bool = Field(True, description="mirror half of the images; never where the data set forbids it")
    jitter_p: Unit = Field(0.8, description="share of images whose colours are jittered")
    brightness: float = Field(0.4, ge=0, le=1, description="factor from U(1 - b, 1 + b)")
    contrast: float = Field(0.4, ge=0, le=1, description="factor from U(1 - c, 1 + c)")
    saturation: float = Field(0.4, ge=0, le=1, description="factor from U(1 - s, 1 + s)")
    hue: float = Field(0.1, ge=0, le=0.5, description="shift from U(-h, h), in turns of the colour circle")
    gray_p: Unit = Field(0.2, description="share of images turned grey")
    blur_p: Unit = Field(0.5, description="share of images blurred")
    blur_sigma: Range = Field((0.1, 2.0), description="standard deviation of the Gaussian, in pixels")

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.crop_scale[1] > 1:
            raise ValueError(f"crop_scale={self.crop_scale}: a crop cannot be larger than its image")
        return self
