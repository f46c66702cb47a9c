"""Conversion of normalised images to [0, 1] and back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from samix.core.errors import ConfigError

Channels = tuple[float, float, float]


class UnitRange:
    """Converts images to [0, 1] for policies that work on pictures, and the results back.

    mean and std are those used to normalise the images; without them each image is stretched from its
    darkest to its lightest value.
    """

    def __init__(self, policy: str, mean: Channels | None, std: Channels | None) -> None:
        """policy: name for error messages. Raises: ConfigError for only one of mean and std."""
        if (mean is None) != (std is None):
            raise ConfigError(f"{policy}: mean and std belong together; give both or none")
        self.normalisation = None if mean is None or std is None else (mean, std)

    def shown(self, images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Images (N, 3, H, W) -> float32 images in [0, 1], and a function that converts such images
        (N, 3, H, W) back to the normalisation and type of `images`.
        """
        dtype, values = images.dtype, images.float()
        if self.normalisation is None:
            low, high = values.amin((1, 2, 3), keepdim=True), values.amax((1, 2, 3), keepdim=True)
            span = (high - low).clamp(min=1e-8)
            return (values - low) / span, lambda unit: (unit * span + low).to(dtype)
        # channel by channel: a tensor of mean and std would have to be moved to the device
        channels = list(zip(*self.normalisation, strict=True))
        unit = [x * std + mean for x, (mean, std) in zip(values.unbind(1), channels, strict=True)]

        def back(unit: Tensor) -> Tensor:
            found = [(x - mean) / std for x, (mean, std) in zip(unit.unbind(1), channels, strict=True)]
            return torch.stack(found, 1).to(dtype)

        return torch.stack(unit, 1).clamp(0, 1), back


def to_bytes(unit: Tensor) -> Tensor:
    """Images in [0, 1] -> uint8."""
    return (unit * 255).round().clamp(0, 255).to(torch.uint8)
