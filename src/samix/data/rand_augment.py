"""timm's RandAugment on batches, from an explicit generator."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from samix.config.data import Interpolation


class RandAugment:
    """RandAugment (Cubuk et al. 2020) as in timm, image by image on the CPU.

    Args: recipe in timm's format; image_size and mean (3,) in [0, 1], which set the largest shift and the
    colour of pixels from outside the image; interpolation of its rotations, shears and shifts.
    """

    def __init__(
        self, recipe: str, image_size: int, mean: Sequence[float], interpolation: Interpolation
    ) -> None:
        from timm.data.auto_augment import posterize, rand_augment_transform

        settings = {
            "translate_const": int(image_size * 0.45),
            "img_mean": tuple(min(255, round(255 * value)) for value in mean),
            "interpolation": Image.Resampling[interpolation.upper()],
        }
        self.transform = rand_augment_transform(recipe, settings)
        for step in self.transform.ops:
            if step.aug_fn is posterize:
                step.aug_fn = _posterize

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment each of the float images (n, 3, S, S) in [0, 1]; they are rounded to 8 bits first."""
        seed = torch.randint(2**32, (1,), generator=generator, device=generator.device, dtype=torch.int64)
        pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        with global_seed(int(seed)):
            changed = [np.asarray(self.transform(Image.fromarray(image))) for image in pixels]
        return torch.from_numpy(np.stack(changed)).to(x.device).permute(0, 3, 1, 2).to(x.dtype) / 255


def _posterize(image: Image.Image, bits: int, **options: Any) -> Image.Image:
    """timm's posterize; for 0 bits, which timm may draw and Pillow 13 rejects, a black image as before."""
    from timm.data.auto_augment import posterize

    if bits == 0:
        return Image.new(image.mode, image.size)
    kept: Image.Image = posterize(image, bits, **options)  # type: ignore[no-untyped-call]
    return kept


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators of Python and NumPy, from which timm draws, and restore them at the end.

    Args: seed in [0, 2^32).
    """
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
