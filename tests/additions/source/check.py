import torch

from samix.config.data import DataConfig
from samix.data import open_images, prepare


def test_its_images_keep_their_brightness():
    prepared = prepare(DataConfig(source="toy", image_size=8), seed=0)
    images = open_images(prepared.card, prepared.manifest, "test")
    pixels = images.fetch(torch.arange(len(images))).float()
    means = [pixels[images.labels == label].mean().item() for label in range(3)]
    assert all(abs(mean - 24.5 - 100 * label) < 5 for label, mean in enumerate(means))
