"""Small folders of real image files."""

import pytest

from helpers.fake_sets import write_image


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
