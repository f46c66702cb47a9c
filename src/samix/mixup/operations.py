"""The augmentations of AugMix and PixMix, on batches of bytes with parameters for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as library

PLAIN = (
    "autocontrast",
    "equalize",
    "posterize",
    "rotate",
    "solarize",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
"""Operations that are not corruptions of ImageNet-C."""
ALL = (*PLAIN, "colour", "contrast", "brightness", "sharpness")


class Operations(NamedTuple):
    """One operation per image: names, "" for none; levels in [0, 10]; signs 1 or -1, all (N,)."""

    names: np.ndarray
    levels: np.ndarray
    signs: np.ndarray


def draw_operations(n: int, severity: float, names: tuple[str, ...], rng: np.random.Generator) -> Operations:
    """n operations among `names` at levels ~ U(0.1, severity), severity in [0.1, 10], with random signs."""
    chosen = np.array(names)[rng.integers(len(names), size=n)]
    return Operations(chosen, rng.uniform(0.1, severity, n), rng.choice([-1.0, 1.0], n))


def apply(images: Tensor, operations: Operations) -> Tensor:
    """Each image after its operation, at its level and in the direction of its sign.

    The ranges are those of AugMix's code: at level 10 a rotation by 30 degrees, a shear of 0.3, a shift by a
    third of the side, posterising to 0 bits (4 at level 0), a solarising threshold of 0 (256 at level 0), a
    factor of 1.9. Pixels from outside the image are black.
    Args: images uint8 (N, 3, H, W).   Returns: a new tensor of the same shape.
    """
    out, (names, levels, signs) = images.clone(), operations
    for name in sorted(set(names.tolist()) - {""}):
        rows = np.flatnonzero(names == name)
        index = _moved(rows, images)
        found = _CHANGES[name](images.index_select(0, index), levels[rows], signs[rows])
        out.index_copy_(0, index, found)
    return out


Change = Callable[[Tensor, np.ndarray, np.ndarray], Tensor]
"""Images, levels, signs -> images, as in `apply`."""


def _moved(values: np.ndarray, like: Tensor) -> Tensor:
    """A host array on the device; does not wait for the copy."""
    return torch.from_numpy(values).to(like.device, non_blocking=True)


def per_image(values: np.ndarray, like: Tensor) -> Tensor:
    """Host values (N,), one per image, as (N, 1, 1, 1) on the device; float64 becomes float32."""
    narrow = values.astype(np.float32) if values.dtype == np.float64 else values
    return _moved(narrow, like).view(-1, 1, 1, 1)


def _autocontrast(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:  # noqa: ARG001
    """Not torchvision's, which copies the extremes to the host."""
    values = images.int()
    low, high = values.amin((2, 3), keepdim=True), values.amax((2, 3), keepdim=True)
    found = (values - low) * 255 // (high - low).clamp(min=1)
    return torch.where(high > low, found, values).to(torch.uint8)


def _equalize(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:  # noqa: ARG001
    found: Tensor = library.equalize(images)
    return found


def _posterize(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:  # noqa: ARG001
    lost = 8 - (4 - (levels * 0.4).astype(np.int64))  # bits
    return images & per_image((256 - 2**lost).astype(np.uint8), images)


def _solarize(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:  # noqa: ARG001
    threshold = per_image(256 - (levels * 25.6).astype(np.int64), images)
    return torch.where(images < threshold, images, 255 - images)


def _rotate(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:
    degrees = signs * np.trunc(levels * 3)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    middle_y, middle_x = (side / 2 for side in images.shape[2:])
    across = middle_x - cos * middle_x + sin * middle_y
    down = middle_y - sin * middle_x - cos * middle_y
    return _warped(images, np.stack([cos, -sin, across, sin, cos, down]))


def _shear_x(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:
    one, none = np.ones_like(levels), np.zeros_like(levels)
    return _warped(images, np.stack([one, signs * levels * 0.03, none, none, one, none]))


def _shear_y(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:
    one, none = np.ones_like(levels), np.zeros_like(levels)
    return _warped(images, np.stack([one, none, none, signs * levels * 0.03, one, none]))


def _translate_x(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:
    one, none = np.ones_like(levels), np.zeros_like(levels)
    pixels = signs * np.trunc(levels * images.shape[3] / 30)
    return _warped(images, np.stack([one, none, pixels, none, one, none]))


def _translate_y(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:
    one, none = np.ones_like(levels), np.zeros_like(levels)
    pixels = signs * np.trunc(levels * images.shape[2] / 30)
    return _warped(images, np.stack([one, none, none, none, one, pixels]))


def _warped(images: Tensor, matrices: np.ndarray) -> Tensor:
    """Pixel centre (x, y) is fetched from (a x + b y + c, d x + e y + f), rows of `matrices` (6, N).

    Bilinear. As in PIL, places outside are black, and at the edge the outermost pixels are repeated.
    """
    height, width = images.shape[2:]
    a, b, c, d, e, f = (_moved(row.astype(np.float32), images).view(-1, 1, 1) for row in matrices)
    x = torch.arange(width, device=images.device).view(1, 1, -1) + 0.5
    y = torch.arange(height, device=images.device).view(1, -1, 1) + 0.5
    from_x, from_y = a * x + b * y + c, d * x + e * y + f
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    grid = torch.stack([from_x * 2 / width - 1, from_y * 2 / height - 1], dim=-1)
    found = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return (found * inside[:, None]).round().to(torch.uint8)


def _towards(degenerate: Callable[[Tensor], Tensor]) -> Change:
    """PIL's enhancers: from a degenerate image (factor 0) through the image itself (1) and beyond."""

    def change(images: Tensor, levels: np.ndarray, signs: np.ndarray) -> Tensor:  # noqa: ARG001
        poorer = degenerate(images).float()
        found = poorer + per_image(levels * 0.18 + 0.1, images) * (images.float() - poorer)
        return found.clamp(0, 255).to(torch.uint8)

    return change


_CHANGES: dict[str, Change] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "rotate": _rotate,
    "solarize": _solarize,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "colour": _towards(lambda images: library.adjust_saturation(images, 0.0)),
    "contrast": _towards(lambda images: library.adjust_contrast(images, 0.0)),
    "brightness": _towards(torch.zeros_like),
    "sharpness": _towards(lambda images: library.adjust_sharpness(images, 0.0)),
}
