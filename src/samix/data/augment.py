"""Batches of uint8 images to normalised float views; every draw is per image, on the generator's device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from samix.config.data import AugmentConfig
from samix.data.blur import gaussian_blur, kernel_size
from samix.data.colour import gray, jitter
from samix.data.geometry import CROP_RATIO, centre_crop, crop_resize, random_coins, random_crops

# uint8 (n, 3, S, S) and a generator on the same device to normalised float32 (n, 3, image_size, image_size).
Transform = Callable[[Tensor, torch.Generator], Tensor]

CACHED_VALUES = 2**19
"""Values of float images that a CPU augments at once: 170 images of 32 pixels, 18 of 96."""


class Normalize:
    """The plain test transform: the centre (all of it for size None), minus mean, over std (each (3,))."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: int | None = None) -> None:
        self.size = size
        self.mean = torch.tensor(mean, dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(std, dtype=torch.float32)[:, None, None]

    @classmethod
    def for_data(cls, card: Mapping[str, Any]) -> Self:
        """With the statistics of a data card, cutting its images from what is stored."""
        return cls(card["mean"], card["std"], card["image_size"])

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """uint8 (n, 3, S, S) to float32. Nothing is drawn: the generator makes it stand for any transform."""
        return self.of_unit(self.crop(images).to(torch.float32) / 255)

    def crop(self, images: Tensor) -> Tensor:
        """The part of images (n, 3, S, S) that the test sees."""
        return images if self.size is None else centre_crop(images, self.size)

    def of_unit(self, x: Tensor) -> Tensor:
        """Normalise float images in [0, 1]."""
        if self.mean.device != x.device:
            self.mean, self.std = self.mean.to(x.device), self.std.to(x.device)
        return (x - self.mean) / self.std


class CropFlip:
    """Random resized crop and mirror: for supervised training and the linear evaluation's classifier."""

    def __init__(
        self, config: AugmentConfig, image_size: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        self.config = config
        self.image_size = image_size
        self.normalize = Normalize(mean, std)

    @classmethod
    def for_data(cls, config: AugmentConfig, card: Mapping[str, Any]) -> Self:
        """With the size and statistics of a data card; no mirroring where the card forbids it."""
        config = config.model_copy(update={"flip": config.flip and card["flip"]})
        return cls(config, card["image_size"], card["mean"], card["std"])

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one view of each of uint8 `images` (n, 3, S, S): normalised float32 of side image_size."""
        parts = torch.split(images, self._together(images))
        views = [self.normalize.of_unit(self.view(part, generator)) for part in parts]
        return views[0] if len(views) == 1 else torch.cat(views)

    def view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The view before normalisation, in [0, 1]."""
        config = self.config
        boxes = random_crops(len(images), images.shape[-1], config.crop_scale, CROP_RATIO, generator)
        flip = random_coins(len(images), 0.5 if config.flip else 0.0, generator)
        return crop_resize(images.to(torch.float32) / 255, boxes, flip, self.image_size)

    def _together(self, images: Tensor) -> int:
        """Images to work on at once: all on a GPU; on a CPU as many as its caches hold, a third faster."""
        if images.device.type != "cpu":
            return max(1, len(images))
        return max(1, CACHED_VALUES // (3 * self.image_size**2))


class Augment(CropFlip):
    """The recipe of MoCo v2 (Chen et al. 2020): crop, mirror, colour jitter, grey, Gaussian blur."""

    def view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The view before normalisation, in [0, 1]."""
        config = self.config
        strength = (config.brightness, config.contrast, config.saturation, config.hue)
        x = jitter(super().view(images, generator), strength, config.jitter_p, generator)
        x = torch.where(random_coins(len(x), config.gray_p, generator)[:, None, None, None], gray(x), x)
        return self._blur(x, generator)

    def _blur(self, x: Tensor, generator: torch.Generator) -> Tensor:
        low, high = self.config.blur_sigma
        sigma = low + (high - low) * torch.rand(len(x), generator=generator, device=x.device)
        sigma = sigma * random_coins(len(x), self.config.blur_p, generator)
        return gaussian_blur(x, sigma, kernel_size(self.image_size))
