"""Detection transfer: the scenes, the detector and how it is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from samix.config.base import Config
from samix.config.names import OneOf
from samix.config.registry import DETECTORS
from samix.config.training import OptimizerConfig

Positive = Annotated[int, Field(ge=1)]


class SceneConfig(Config):
    """Pictures composed of images that pre-training never saw."""

    train: int = Field(200, ge=1, description="pictures to train on")
    test: int = Field(60, ge=1, description="pictures to test on, of other images than those of train")
    size: int = Field(96, ge=32, le=1024, description="side of a picture in pixels")
    objects: tuple[Positive, Positive] = Field((2, 5), description="fewest and most objects per picture")
    object_size: tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]] = Field(
        (16, 40), description="longer side of an object in pixels, smallest and largest"
    )
    clutter: float = Field(0.5, ge=0, le=1, description="strength of lines, torn pieces and noise")

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> Self:
        if self.objects[0] > self.objects[1]:
            raise ValueError(f"objects={self.objects}: the first number must not exceed the second")
        if not self.object_size[0] <= self.object_size[1] <= self.size // 2:
            raise ValueError(
                f"object_size={self.object_size} needs smallest <= largest <= {self.size // 2} (half of size)"
            )
        return self


class DetectorConfig(Config):
    """Which detector, and its sizes; the defaults suit small scenes and a laptop.

    For VOC, the paper's protocol is min_size 480..800 in steps of 32, then 800 to test; max_size 1333;
    anchors 32..512; rpn_batch 256; box_batch 512; roi_size 14.
    """

    name: Annotated[str, OneOf(DETECTORS)] = Field(
        "faster_rcnn_c4", description="faster_rcnn_c4: Faster R-CNN in C4 form"
    )
    min_size: tuple[Positive, ...] = Field(
        (96,), min_length=1, description="shorter side in pixels: training draws one, testing takes the last"
    )
    max_size: int = Field(96, ge=32, description="upper bound of the longer side in pixels")
    anchor_sizes: tuple[Positive, ...] = Field((16, 24, 36), min_length=1, description="in input pixels")
    anchor_ratios: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.5, 1.0, 2.0), min_length=1, description="height / width of the anchors"
    )
    rpn_batch: int = Field(64, ge=2, description="anchors per picture in the RPN's loss")
    box_batch: int = Field(32, ge=2, description="RoIs per picture in the box loss; the cost grows with it")
    proposals: tuple[Positive, Positive] = Field(
        (64, 32), description="RoIs per picture in (training, testing)"
    )
    detections: int = Field(32, ge=1, description="most detections per picture")
    roi_size: int = Field(7, ge=2, description="side of a RoI's map in cells; the protocol has 14")
    extra_norm: bool = Field(True, description="one more BatchNorm after the last stage (MoCo protocol)")


class DetectionConfig(Config):
    """Which pictures, which detector, how long and how it is trained."""

    source: Literal["scenes", "voc"] = Field(
        "scenes", description="scenes are composed; voc: a VOCdevkit folder"
    )
    root: Path = Field(
        Path("data/01_raw/scenes"), description="voc: the folder that holds VOCdevkit; scenes: where they go"
    )
    year: str = Field("2007", pattern=r"^\d{4}$", description="voc: the number in VOCdevkit/VOC<year>")
    train_split: str = Field("trainval", description="voc: list of ImageSets/Main to train on")
    test_split: str = Field("test", description="voc: list of ImageSets/Main to test on")
    scenes: SceneConfig = SceneConfig()
    detector: DetectorConfig = DetectorConfig()
    epochs: int = Field(12, ge=1)
    batch_size: int = Field(8, ge=1, description="pictures of all processes together")
    flip: bool = Field(
        False, description="mirror half of the training pictures; not where it changes the class"
    )
    optimizer: OptimizerConfig = OptimizerConfig(lr=0.02, warmup=0.1)
