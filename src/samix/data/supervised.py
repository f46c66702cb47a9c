"""Augmentation of supervised training: crop, mirror, RandAugment, colour jitter, erasing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from samix.config.data import SupervisedAugmentConfig
from samix.core.errors import ConfigError
from samix.data.augment import Normalize
from samix.data.colour import jitter
from samix.data.erasing import random_erasing
from samix.data.geometry import CROP_RATIO, crop_resize, pad_crop, random_coins, random_crops
from samix.data.rand_augment import RandAugment


class SupervisedAugment:
    """A `Transform` that draws one view of each image.

    RandAugment follows crop and mirror and precedes colour jitter, as in timm, which leaves the jitter out
    beside RandAugment unless it is forced: set its strengths to 0 for that. Erasing follows normalisation.
    """

    def __init__(self, config: SupervisedAugmentConfig, image_size: int, normalize: Normalize) -> None:
        self.config = config
        self.image_size = image_size
        self.normalize = normalize
        self.rand_augment = None
        if config.rand_augment is not None:
            mean = normalize.mean.flatten().tolist()
            self.rand_augment = RandAugment(config.rand_augment, image_size, mean, config.interpolation)

    @classmethod
    def for_data(cls, config: SupervisedAugmentConfig, card: Mapping[str, Any]) -> Self:
        """With the size and statistics of a data card; no mirroring where the card forbids it.

        Raises: ConfigError for a padding that the stored images cannot be reflected to.
        """
        if config.crop == "pad" and config.pad >= card["stored_size"]:
            raise ConfigError(
                f"pad={config.pad} cannot be reflected from {card['stored_size']} pixels: lower it"
            )
        config = config.model_copy(update={"flip": config.flip and card["flip"]})
        return cls(config, card["image_size"], Normalize(card["mean"], card["std"]))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one view of each of uint8 `images` (n, 3, S, S): normalised float32 (n, 3, size, size)."""
        x = self.normalize.of_unit(self.view(images, generator))
        return random_erasing(x, self.config.erasing, generator) if self.config.erasing else x

    def view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The view before normalisation, in [0, 1]."""
        config = self.config
        x = self._crop(images, generator)
        if self.rand_augment is not None:
            x = self.rand_augment(x, generator)
        strength = (config.brightness, config.contrast, config.saturation, 0.0)
        return jitter(x, strength, 1.0, generator) if any(strength) else x

    def _crop(self, images: Tensor, generator: torch.Generator) -> Tensor:
        config, n, side = self.config, len(images), images.shape[-1]
        flip = random_coins(n, 0.5 if config.flip else 0.0, generator)
        if config.crop == "resized":
            boxes = random_crops(n, side, config.crop_scale, CROP_RATIO, generator)
            return crop_resize(
                images.to(torch.float32) / 255, boxes, flip, self.image_size, config.interpolation
            )
        end = side + 2 * config.pad - self.image_size + 1
        corners = torch.randint(end, (n, 2), generator=generator, device=generator.device)
        return pad_crop(images, corners, flip, self.image_size, config.pad).to(torch.float32) / 255
