"""Small folders of real image files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_image(path: Path, seed: int, size: tuple[int, int] = (12, 10)) -> Path:
    """Write noise of `size` (width, height); equal seeds give equal pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def write():
    """Write a noise image: write(path, seed, size)."""
    return write_image


@pytest.fixture
def folder(tmp_path):
    """Set "pets" with classes cat and dog: 4 training and 2 test images each, all different."""
    root, seed = tmp_path / "pets", 0
    for split, count in (("train", 4), ("test", 2)):
        for name in ("dog", "cat"):
            for number in range(count):
                seed += 1
                write_image(root / split / name / f"{number}.png", seed)
    return root
