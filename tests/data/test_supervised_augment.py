import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from samix.config.data import SupervisedAugmentConfig
from samix.core.errors import ConfigError
from samix.core.step import StepContext
from samix.data import LabelledBatches, MemoryStore, Normalize, SupervisedAugment

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
CARD = {"flip": True, "image_size": 12, "stored_size": 12, "mean": list(MEAN), "std": list(STD)}
WHOLE = {"crop": "resized", "crop_scale": (1.0, 1.0)}


def _images(n=64, size=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)


def _view(images, card=CARD, seed=0, **settings):
    augment = SupervisedAugment.for_data(SupervisedAugmentConfig(**settings), card)
    return augment.view(images, torch.Generator().manual_seed(seed))


def _pixels(views):
    return (views * 255).round().to(torch.uint8)


def test_pad_views_are_reflected_crops_of_their_own_image_and_reach_every_offset():
    images = _images(600)
    views = _pixels(_view(images, pad=2))
    padded = reference.pad(images, [2], padding_mode="reflect")
    crops = torch.stack(
        [padded[..., top : top + 12, left : left + 12] for top in range(5) for left in range(5)], 1
    )
    plain = (crops == views[:, None]).all((2, 3, 4))
    mirrored = (crops == views.flip(-1)[:, None]).all((2, 3, 4))
    assert ((plain | mirrored).sum(1) == 1).all()
    assert (plain | mirrored).any(0).all()
    assert plain.any(1).float().mean().item() == pytest.approx(0.5, abs=0.08)


def test_the_card_forbids_the_flip():
    images = _images(50)
    assert torch.equal(_pixels(_view(images, CARD | {"flip": False}, **WHOLE)), images)
    assert not torch.equal(_pixels(_view(images, **WHOLE)), images)


def test_views_of_larger_stored_squares():
    card = CARD | {"image_size": 8}
    images = _images(40)
    for crop in ("pad", "resized"):
        assert _view(images, card, crop=crop).shape == (40, 3, 8, 8)
    # without the pad's reflection a view is a window of the stored square
    views = _pixels(_view(images, card | {"flip": False}, pad=1))
    padded = reference.pad(images, [1], padding_mode="reflect").unfold(2, 8, 1).unfold(3, 8, 1)
    windows = padded.flatten(2, 3).transpose(1, 2)
    assert (windows == views[:, None]).all((2, 3, 4)).any(1).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resized_views_keep_their_share_of_the_image(interpolation, monkeypatch):
    monkeypatch.setattr("samix.data.supervised.CROP_RATIO", (1.0, 1.0))
    ramp = torch.arange(0, 240, 20, dtype=torch.uint8).expand(500, 3, 12, 12)
    views = _view(ramp, crop="resized", crop_scale=(0.25, 0.25), interpolation=interpolation)
    # 6 of 12 columns that rise by 20 each
    rise = (views[..., -1] - views[..., 0]).mean((1, 2)) * 255
    assert rise.abs().sub(100).abs().max() < 12
    assert (rise > 0).float().mean().item() == pytest.approx(0.5, abs=0.08)


def test_a_pad_that_the_stored_images_cannot_give_is_refused():
    with pytest.raises(ConfigError, match="pad=12 .* 12 pixels"):
        SupervisedAugment.for_data(SupervisedAugmentConfig(pad=12), CARD)
    SupervisedAugment.for_data(SupervisedAugmentConfig(pad=12, crop="resized"), CARD)


def test_colours_are_jittered_in_every_image_and_only_when_asked():
    images = _images(50)
    still = WHOLE | {"flip": False}
    torch.testing.assert_close(_view(images, **still), images / 255, atol=2e-6, rtol=0)
    for name in ("brightness", "contrast", "saturation"):
        views = _view(images, **still, **{name: 0.4})
        assert ((views - images / 255).abs().amax((1, 2, 3)) > 1e-3).float().mean() > 0.95
        assert views.min() >= -1e-6 and views.max() <= 1 + 1e-6


def test_the_order_is_crop_randaugment_jitter_normalisation_erasing():
    images = _images(60)
    settings = {"rand_augment": "rand-m9-mstd0.5-inc1", "brightness": 0.4, "crop": "resized"}
    augment = SupervisedAugment.for_data(SupervisedAugmentConfig(**settings), CARD)
    erasing = SupervisedAugment.for_data(SupervisedAugmentConfig(**settings, erasing=1.0), CARD)
    generator = torch.Generator().manual_seed(4)
    view = augment.view(images, generator)
    views = augment(images, torch.Generator().manual_seed(4))
    torch.testing.assert_close(views, Normalize(MEAN, STD).of_unit(view))
    # jitter comes last, so values between RandAugment's 256 levels
    assert ((view * 255).round() - view * 255).abs().max() > 0.1
    erased = erasing(images, torch.Generator().manual_seed(4))
    changed = (erased != views).any(1)
    assert torch.equal(erased[~changed[:, None].expand_as(erased)], views[~changed[:, None].expand_as(views)])
    # noise of the normalised scale, which no pixel of [0, 1] has
    assert changed.flatten(1).any(1).all()
    assert erased.max() > (1 - min(MEAN)) / min(STD) * 0.99 or erased.min() < -2.6


def test_views_are_a_function_of_the_generator_alone():
    images = _images(20)
    settings = {"rand_augment": "rand-m7-n2-mstd0.5", "contrast": 0.1, "erasing": 0.5}
    augment = SupervisedAugment.for_data(SupervisedAugmentConfig(**settings), CARD)
    first = augment(images, torch.Generator().manual_seed(1))
    torch.manual_seed(99)
    assert torch.equal(first, augment(images, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, augment(images, torch.Generator().manual_seed(2)))


def test_it_stands_for_a_transform_of_batches():
    augment = SupervisedAugment.for_data(SupervisedAugmentConfig(erasing=0.25), CARD)
    batches = LabelledBatches(MemoryStore(_images(16), torch.arange(16)), augment, 8, seed=0)
    batch = batches.load(StepContext(seed=5, step=1, total_steps=4, epoch=0))
    assert batch.images.shape == (8, 3, 12, 12) and batch.images.dtype == torch.float32
