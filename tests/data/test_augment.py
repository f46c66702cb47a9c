import pytest
import torch

from samix.config.data import AugmentConfig
from samix.data import Augment, CropFlip, Normalize, augment

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
STILL = {"crop_scale": (1.0, 1.0), "flip": False}
OFF = STILL | {"jitter_p": 0.0, "gray_p": 0.0, "blur_p": 0.0, "blur_sigma": (1.0, 2.0)}


def _images(n=64, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


def _views(images, seed=0, **settings):
    augment = Augment(AugmentConfig(**settings), images.shape[-1], MEAN, STD)
    return augment.view(images, torch.Generator().manual_seed(seed))


def _changed(views, images):
    return ((views - images / 255).abs().amax((1, 2, 3)) > 1e-4).float().mean().item()


def test_normalize_is_pixel_minus_mean_over_std():
    images = _images(4)
    expected = torch.stack([(images[:, c].double() / 255 - MEAN[c]) / STD[c] for c in range(3)], 1)
    torch.testing.assert_close(Normalize(MEAN, STD)(images), expected.float())


def test_augment_ends_in_normalisation():
    images, augment = _images(), Augment(AugmentConfig(), 16, MEAN, STD)
    view = augment.view(images, torch.Generator().manual_seed(3))
    assert view.min() >= -1e-6 and view.max() <= 1 + 1e-6
    views = augment(images, torch.Generator().manual_seed(3))
    assert views.dtype == torch.float32
    torch.testing.assert_close(views, augment.normalize.of_unit(view))


def test_the_same_generator_gives_the_same_view_and_another_does_not():
    images = _images()
    assert torch.equal(_views(images, seed=1), _views(images, seed=1))
    assert _changed(_views(images, seed=1), 255 * _views(images, seed=2)) == 1


def test_everything_off_is_the_identity():
    images = _images()
    torch.testing.assert_close(_views(images, **OFF), images / 255, atol=2e-6, rtol=0)


def test_draws_differ_between_equal_images():
    images = _images(1).expand(32, -1, -1, -1)
    views = _views(images)
    assert len(views.flatten(1).unique(dim=0)) == 32


@pytest.mark.parametrize("name", ["jitter_p", "gray_p", "blur_p"])
def test_each_operation_hits_its_share_of_images(name):
    images = _images(1000, 8)
    assert _changed(_views(images, **OFF | {name: 0.3}), images) == pytest.approx(0.3, abs=0.05)
    assert _changed(_views(images, **OFF | {name: 1.0}), images) == 1


def test_half_of_the_images_are_mirrored():
    images = _images(1000, 8)
    views = _views(images, **OFF | {"flip": True})
    mirrored = torch.isclose(views, images.flip(-1) / 255, atol=1e-5).all((1, 2, 3))
    kept = torch.isclose(views, images / 255, atol=1e-5).all((1, 2, 3))
    assert torch.equal(mirrored, ~kept)
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_gray_views_have_equal_channels():
    views = _views(_images(), gray_p=1.0)
    torch.testing.assert_close(views[:, 0], views[:, 2])


def test_crop_flip_only_moves_pixels():
    images = torch.tensor([200, 100, 50], dtype=torch.uint8)[None, :, None, None].expand(8, 3, 16, 16)
    views = CropFlip(AugmentConfig(), 16, MEAN, STD)(images, torch.Generator().manual_seed(0))
    torch.testing.assert_close(views, Normalize(MEAN, STD)(images), atol=1e-5, rtol=0)
    noise = _images()
    moved = CropFlip(AugmentConfig(), 16, MEAN, STD).view(noise, torch.Generator().manual_seed(0))
    assert _changed(moved, noise) > 0.9


def test_card_forbids_the_flip_and_gives_size_and_statistics():
    card = {"flip": False, "image_size": 16, "mean": list(MEAN), "std": list(STD)}
    augment = Augment.for_data(AugmentConfig(**OFF | {"flip": True}), card)
    images = _images()
    views = augment(images, torch.Generator().manual_seed(0))
    torch.testing.assert_close(views, Normalize(MEAN, STD)(images), atol=2e-5, rtol=0)
    assert Augment.for_data(AugmentConfig(), card | {"flip": True}).config.flip


def test_views_are_cut_from_larger_stored_squares():
    card = {"flip": True, "image_size": 16, "mean": list(MEAN), "std": list(STD)}
    images = torch.zeros(200, 3, 24, 24, dtype=torch.uint8)
    images[..., -1, -1] = 255
    views = Augment.for_data(AugmentConfig(**OFF | {"crop_scale": (0.4, 1.0)}), card)
    cut = views.view(images, torch.Generator().manual_seed(0))
    assert cut.shape == (200, 3, 16, 16)
    # the last stored pixel is beyond the centre that a test sees, and within some crops
    assert 10 < (cut.amax((1, 2, 3)) > 0.1).sum() < 190
    assert Normalize.for_data(card)(images).unique().numel() == 3


def test_the_test_transform_of_a_card_normalises_the_centre():
    card = {"image_size": 16, "mean": list(MEAN), "std": list(STD)}
    images = _images(3, 22)
    test = Normalize.for_data(card)
    assert torch.equal(test.crop(images), images[..., 3:19, 3:19])
    assert torch.equal(test(images), Normalize(MEAN, STD)(images[..., 3:19, 3:19]))
    assert torch.equal(test(images[..., 3:19, 3:19]), test(images))


def test_a_large_batch_is_augmented_part_by_part_from_one_stream(monkeypatch):
    images, transform = _images(7), Augment(AugmentConfig(), 16, MEAN, STD)
    monkeypatch.setattr(augment, "CACHED_VALUES", 3 * 3 * 16 * 16 + 1)
    generator = torch.Generator().manual_seed(3)
    parts = [transform.normalize.of_unit(transform.view(part, generator)) for part in images.split(3)]
    assert [len(part) for part in parts] == [3, 3, 1]
    assert torch.equal(transform(images, torch.Generator().manual_seed(3)), torch.cat(parts))


def test_one_image_larger_than_the_part_and_no_image_are_augmented(monkeypatch):
    transform = Augment(AugmentConfig(), 16, MEAN, STD)
    monkeypatch.setattr(augment, "CACHED_VALUES", 1)
    for n in (0, 2):
        assert transform(_images(n), torch.Generator().manual_seed(0)).shape == (n, 3, 16, 16)
