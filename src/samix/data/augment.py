"""Batches of uint8 images to normalised float views; every draw is per image, on the generator's device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from samix.config.data import AugmentConfig
from samix.data.blur import gaussian_blur, kernel_size
from samix.data.colour import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, gray
from samix.data.geometry import crop_resize, random_coins, random_crops

# uint8 (n, 3, S, S) and a generator on the same device to normalised float32 (n, 3, S, S).
Transform = Callable[[Tensor, torch.Generator], Tensor]


class Normalize:
    """The plain test transform: pixels to [0, 1], minus mean, over std (each (3,))."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = torch.tensor(mean, dtype=torch.float32)[:, None, None]
        self.std = torch.tensor(std, dtype=torch.float32)[:, None, None]

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """uint8 (n, 3, S, S) to float32. Nothing is drawn: the generator makes it stand for any transform."""
        return self.of_unit(images.to(torch.float32) / 255)

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
        """Draw one view of each of uint8 `images` (n, 3, S, S): normalised float32 (n, 3, S, S)."""
        return self.normalize.of_unit(self.view(images, generator))

    def view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The view before normalisation, in [0, 1]."""
        config = self.config
        boxes = random_crops(len(images), self.image_size, config.crop_scale, config.crop_ratio, generator)
        flip = random_coins(len(images), 0.5 if config.flip else 0.0, generator)
        return crop_resize(images.to(torch.float32) / 255, boxes, flip)


class Augment(CropFlip):
    """The recipe of MoCo v2 (Chen et al. 2020): crop, mirror, colour jitter, grey, Gaussian blur."""

    def view(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The view before normalisation, in [0, 1]."""
        x = self._jitter(super().view(images, generator), generator)
        x = torch.where(random_coins(len(x), self.config.gray_p, generator)[:, None, None, None], gray(x), x)
        return self._blur(x, generator)

    def _jitter(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Colour jitter in the fixed order brightness, contrast, saturation, hue."""
        config = self.config
        strength = (config.brightness, config.contrast, config.saturation, config.hue)
        draws = torch.rand(4, len(x), generator=generator, device=x.device) * 2 - 1
        draws = draws * random_coins(len(x), config.jitter_p, generator)
        brightness, contrast, saturation, hue = (s * draw for s, draw in zip(strength, draws, strict=True))
        x = adjust_brightness(x, 1 + brightness)
        x = adjust_contrast(x, 1 + contrast)
        x = adjust_saturation(x, 1 + saturation)
        return adjust_hue(x, hue)

    def _blur(self, x: Tensor, generator: torch.Generator) -> Tensor:
        low, high = self.config.blur_sigma
        sigma = low + (high - low) * torch.rand(len(x), generator=generator, device=x.device)
        sigma = sigma * random_coins(len(x), self.config.blur_p, generator)
        return gaussian_blur(x, sigma, kernel_size(self.image_size))
