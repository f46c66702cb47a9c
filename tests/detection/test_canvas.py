"""Cut-outs and how they are laid onto a ground."""

import numpy as np
import pytest

from samix.detection.canvas import INK, Cutout, cut, ground, is_ink, lay, torn


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def bar():
    """A white bar on black: rows 4..27, columns 10..15 of a 32 x 32 image."""
    image = np.zeros((32, 32, 3), np.float32)
    image[4:28, 10:16] = 1
    return image


def test_ink_is_grey_on_black(bar):
    coloured = bar * np.array([1, 0.5, 0.5], np.float32)
    assert is_ink(bar)
    assert not is_ink(1 - bar)
    assert not is_ink(coloured)


def test_ink_is_cut_at_its_box_and_scaled_to_the_size_asked_for(bar, rng):
    item = cut(bar, ink=True, size=24, rng=rng)
    assert item.opacity.shape[:2] == (24, 6)  # the bar's own proportions
    assert item.opacity.min() > 0.5  # nothing of the black around it
    assert np.ptp(item.colour.reshape(-1, 3), axis=0).max() == 0


def test_a_photo_is_laid_down_whole(rng):
    photo = rng.random((32, 32, 3)).astype(np.float32)
    item = cut(photo, ink=False, size=20, rng=rng)
    assert max(item.opacity.shape) == 20 and item.opacity.min() == 1
    assert item.colour.mean() == pytest.approx(photo.mean(), abs=0.02)


def test_lay_blends_by_opacity_and_returns_the_visible_box():
    """The box holds what has at least INK of the full opacity; fainter edges are outside."""
    opacity = np.full((6, 8, 1), 0.9 * INK)
    opacity[1:4, 2:7] = 1
    picture = np.zeros((20, 30, 3))
    box = lay(picture, Cutout(np.ones((6, 8, 3)), opacity), top=10, left=20)
    assert box == (22, 11, 27, 14)
    assert (picture[11:14, 22:27] == 1).all()
    assert picture[10, 20, 0] == pytest.approx(0.9 * INK)
    assert picture[:10].max() == 0 and picture[:, :20].max() == 0


def test_torn_pieces_are_too_narrow_and_faint_to_be_objects(bar, rng):
    item = cut(bar, ink=True, size=40, rng=rng)
    for _ in range(20):
        piece = torn(item, rng)
        assert piece.opacity.size <= 0.5 * item.opacity.size
        assert piece.opacity.max() <= 0.8
        assert piece.colour.shape[:2] == piece.opacity.shape[:2]


def test_ground_is_plain_without_clutter_and_dark_with_it(rng):
    plain, full = ground(48, 0.0, rng), ground(48, 1.0, rng)
    assert plain.shape == (48, 48, 3) and plain.dtype == np.float32
    assert np.abs(np.diff(plain, axis=0)).max() < 0.02
    assert np.abs(np.diff(full, axis=0)).max() > 0.05
    assert full.min() >= 0 and full.max() <= 1 and full.mean() < 0.5
