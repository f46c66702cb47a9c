"""Two views of MoCo v2's recipe, images/s of one core: python benchmarks/augment.py --size 32

* batched: `samix.data.Augment`, draws for each image, works on the whole batch
* v2: torchvision's transforms, one uint8 tensor after the other
* pil: the same with PIL images, as most training code has it

All three crop, mirror, jitter, grey, blur and normalise with the same settings. An image counts once for its
two views. One thread, whatever --threads says. The goal is 8 times PIL.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from measuring import Rows, alternate, finish, parser
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import to_pil_image

from samix.config.data import AugmentConfig
from samix.data import Augment
from samix.data.blur import kernel_size
from samix.data.geometry import CROP_RATIO

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]


def main(argv: list[str] | None = None) -> Rows:
    """Measure, print, write."""
    arguments = _parser().parse_args(argv)
    arguments.threads = 1
    torch.set_num_threads(1)
    rows = [row for size in arguments.size for row in _rows(size, arguments)]
    finish(rows, arguments)
    return rows


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--size", type=int, nargs="+", default=[32, 96])
    made.add_argument("--images", type=int, default=256, help="of one batch")
    return made


def _rows(size: int, arguments: argparse.Namespace) -> Rows:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (arguments.images, 3, size, size), generator=generator, dtype=torch.uint8)
    config = AugmentConfig()
    batched = Augment(config, size, MEAN, STD)
    one = _reference(config, size)
    pictures = [to_pil_image(image) for image in images]
    work: dict[str, Callable[[], object]] = {
        "batched": lambda: [batched(images, generator) for _ in range(2)],
        "v2": lambda: [torch.stack([one(image) for image in images]) for _ in range(2)],
        "pil": lambda: [torch.stack([one(picture) for picture in pictures]) for _ in range(2)],
    }
    seconds = alternate({key: _quiet(do) for key, do in work.items()}, arguments.rounds, lambda: None)
    speed = {key: len(images) / taken for key, taken in seconds.items()}
    return [
        {"name": key, "size": size, "images_per_s": found, "ratio_pil": found / speed["pil"]}
        for key, found in speed.items()
    ]


def _quiet(do: Callable[[], object]) -> Callable[[], None]:
    return lambda: (do(), None)[1]


def _reference(config: AugmentConfig, size: int) -> Callable[[object], Tensor]:
    """The same recipe of torchvision's transforms; takes a PIL image or a uint8 tensor."""
    jitter = v2.ColorJitter(config.brightness, config.contrast, config.saturation, config.hue)
    transform: Callable[[object], Tensor] = v2.Compose(
        [
            v2.RandomResizedCrop(
                size, config.crop_scale, CROP_RATIO, InterpolationMode.BILINEAR, antialias=True
            ),
            v2.RandomHorizontalFlip(0.5 if config.flip else 0.0),
            v2.RandomApply([jitter], config.jitter_p),
            v2.RandomGrayscale(config.gray_p),
            v2.RandomApply([v2.GaussianBlur(kernel_size(size), config.blur_sigma)], config.blur_p),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return transform


if __name__ == "__main__":
    main()
