"""PixMix (Hendrycks et al., 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from samix.core.errors import ConfigError, DataError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.operations import ALL, PLAIN, Operations, apply, draw_operations, per_image
from samix.mixup.pairing import Pairing
from samix.mixup.policies.augmix import checked_severity
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents
from samix.mixup.unit_range import Channels, UnitRange, to_bytes

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"}


class Either(NamedTuple):
    """Operations of N images, and bools (N,): whether the augmentation of an image is used."""

    operations: Operations
    augmented: np.ndarray


class Round(NamedTuple):
    """One round: the second pictures, the weights (or powers) of both, and whether to add, each (N,)."""

    other: Either
    of_first: np.ndarray
    of_second: np.ndarray
    add: np.ndarray


class PixMixDraws(NamedTuple):
    """pictures uint8 (N, 3, H, W), None without a folder; start, rounds and counts (N,), the number of rounds
    of each image; these are on the host, as the number of images with an operation depends on them;
    weights (2, N).
    """

    pictures: Tensor | None
    start: Either
    rounds: tuple[Round, ...]
    counts: np.ndarray
    weights: Tensor


class PixMix(Policy):
    """Each image is mixed with pictures without a class, or with its own augmentations: lam is 1.

    The mix starts from the image or, with probability 1/2, an augmentation of it. Then, U{0..rounds} times,
    it is added to or multiplied by a picture or, with probability 1/2, another augmentation of the image, and
    clipped to [0, 1]. Without pictures, which are fractals in the paper, it is always an augmentation. All
    numbers are drawn per image. mean and std are those used to normalise the images; without them each image
    is stretched from its darkest to its lightest value.
    """

    cost = "static"

    def __init__(
        self,
        mean: Channels | None = None,
        std: Channels | None = None,
        pictures: str | None = None,
        rounds: int = 4,
        beta: float = 3.0,
        severity: float = 3.0,
        all_operations: bool = False,
    ) -> None:
        """pictures: a folder of image files, at any depth; rounds: the largest number; beta: the larger, the
        smaller the weight of the picture or augmentation that is added.

        severity, all_operations: of the augmentations, see AugMix.
        Raises: ConfigError for only one of mean and std or for numbers out of range; DataError for a folder
        without pictures.
        """
        super().__init__()
        if rounds < 0 or not beta > 0:
            raise ConfigError(f"PixMix: rounds must be 0 or more and beta positive, not {rounds} and {beta}")
        self.range = UnitRange("PixMix", mean, std)
        self.severity = checked_severity("PixMix", severity)
        self.operations = ALL if all_operations else PLAIN
        self.pictures = None if pictures is None else Pictures(Path(pictures))
        self.rounds, self.beta = rounds, beta

    @classmethod
    def files(cls, options: Mapping[str, Any]) -> Iterable[Path]:
        """See Policy: the folder of pictures."""
        pictures = options.get("pictures")
        return [] if pictures is None else [Path(pictures)]

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> PixMixDraws:  # noqa: ARG002
        """See Policy: pictures and places in them, then the start, the counts and each round."""
        n = shape.images
        shown = None
        if self.pictures is not None:
            shown = self.pictures.draw(n, (shape.height, shape.width), rng)
        start, counts = self._draw_either(n, rng), rng.integers(self.rounds + 1, size=n)
        rounds = tuple(self._draw_round(n, rng) for _ in range(self.rounds))
        return PixMixDraws(shown, start, rounds, counts, pair_weights(1.0, n))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: PixMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the partners are not used and have weight 0."""
        unit, back = self.range.shown(images)
        plain = to_bytes(unit)
        picture = None if draws.pictures is None else draws.pictures.float() / 255
        # from bytes, as all pictures: a black pixel that is only nearly 0 would be raised to powers
        mixed = _either(plain.float() / 255, plain, draws.start)
        for done, one in enumerate(draws.rounds):
            other = _either(picture, plain, one.other)
            blended = blend_pictures(mixed, other, one.of_first, one.of_second, one.add).clamp(0, 1)
            mixed = torch.where(per_image(draws.counts > done, images), blended, mixed)
        return two_parents(back(mixed), pairing, draws.weights)

    def _draw_either(self, n: int, rng: np.random.Generator) -> Either:
        operations = draw_operations(n, self.severity, self.operations, rng)
        return Either(operations, rng.random(n) < 0.5)

    def _draw_round(self, n: int, rng: np.random.Generator) -> Round:
        """Weights of the first and of the second: both positive, or one of at least 1 and a negative one."""
        other = self._draw_either(n, rng)
        near_one, near_zero = rng.beta(self.beta, 1.0, n), rng.beta(1.0, self.beta, (2, n))
        apart = rng.random(n) < 0.5
        of_first = np.where(apart, near_one, 1 + near_zero[0])
        of_second = np.where(apart, near_zero[1], -near_zero[1])
        return Round(other, of_first, of_second, rng.random(n) < 0.5)


def _either(unit: Tensor | None, plain: Tensor, draws: Either) -> Tensor:
    """Augmentations of `plain` for the images for which they were drawn, `unit` for others; None: for all."""
    changed = apply(plain, draws.operations).float() / 255
    return changed if unit is None else torch.where(per_image(draws.augmented, plain), changed, unit)


class Pictures:
    """The pictures of a folder, read when first needed and kept as bytes."""

    def __init__(self, folder: Path) -> None:
        """Raises: DataError if there is no picture."""
        self.files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
        if not self.files:
            raise DataError(f"PixMix: no pictures below {folder}; set policy.options.pictures to a folder")
        self._kept: dict[tuple[int, int], Tensor] = {}

    def draw(self, n: int, size: tuple[int, int], generator: np.random.Generator) -> Tensor:
        """Crops of n random pictures, uint8 (n, 3, *size). Raises: DataError for a damaged file."""
        height, width = size
        found = []
        for chosen in generator.integers(len(self.files), size=n).tolist():
            picture = self._picture(chosen, -(-max(size) * 9 // 8))
            top = int(generator.integers(picture.shape[1] - height + 1))
            left = int(generator.integers(picture.shape[2] - width + 1))
            found.append(picture[:, top : top + height, left : left + width])
        return torch.stack(found)

    def _picture(self, chosen: int, side: int) -> Tensor:
        """A picture whose shorter side is `side`: 36 pixels for images of 32, as in the paper."""
        if (chosen, side) not in self._kept:
            file = self.files[chosen]
            try:
                with Image.open(file) as opened:
                    image = opened.convert("RGB")
            except (OSError, UnidentifiedImageError) as error:
                raise DataError(f"PixMix: cannot read the picture {file}: {error}") from error
            scale = side / min(image.size)
            wanted = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
            pixels = np.array(image.resize(wanted, Image.Resampling.BILINEAR))
            self._kept[chosen, side] = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        return self._kept[chosen, side]


def blend_pictures(
    first: Tensor, second: Tensor, of_first: np.ndarray, of_second: np.ndarray, add: np.ndarray
) -> Tensor:
    """Sum a x + b y of images scaled to [-1, 1], or product x^a y^b of images scaled to [0, 2], and back.

    Args: images (N, 3, H, W) in [0, 1]; weights or powers a and b, and whether to add, (N,).
    Returns: (N, 3, H, W), not clipped.
    """
    a, b = per_image(of_first, first), per_image(of_second, first)
    total = (a * (first * 2 - 1) + b * (second * 2 - 1) + 1) / 2
    # 0 to a negative power would be infinite, and 0 times infinity is NaN
    product = (first * 2) ** a * (second * 2).clamp(min=1e-37) ** b / 2
    return torch.where(per_image(add, first), total, product)
