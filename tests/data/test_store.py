import numpy as np
import pytest
import torch
from PIL import Image

from samix.core.errors import DataError
from samix.data import MemoryStore, ReadingStore, store
from samix.data.readers import ArrayReader, FileReader, fit_square


@pytest.fixture
def files(tmp_path, write):
    return [write(tmp_path / f"{seed}.png", seed, size=(20 + seed, 16)) for seed in range(5)]


def test_stores_in_memory_and_on_disk_give_the_same_images(files, monkeypatch):
    labels = torch.arange(5)
    memory = store.store_of(FileReader(files, 8), labels)
    monkeypatch.setattr(store, "MEMORY_LIMIT", 5 * 3 * 8 * 8 - 1)
    reading = store.store_of(FileReader(files, 8), labels)
    assert isinstance(memory, MemoryStore) and isinstance(reading, ReadingStore)
    assert len(memory) == len(reading) == 5
    wanted = torch.tensor([4, 0, 4])
    assert torch.equal(memory.fetch(wanted), reading.fetch(wanted))
    assert memory.fetch(wanted).shape == (3, 3, 8, 8)


def test_to_moves_images_and_labels(files):
    for images in (
        store.store_of(FileReader(files, 8), torch.arange(5)),
        ReadingStore(FileReader(files, 8), torch.arange(5)),
    ):
        moved = images.to("cpu")
        assert torch.equal(moved.fetch(torch.tensor([1])), images.fetch(torch.tensor([1])))
        assert images.to("meta").labels.device.type == "meta"


def test_a_file_damaged_after_the_checks_is_named_when_fetched(files):
    reading = ReadingStore(FileReader(files, 8), torch.arange(5))
    files[3].write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot read image .*3\.png"):
        reading.fetch(torch.tensor([2, 3]))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_colour_mode_becomes_rgb(mode, tmp_path):
    path = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode).save(path)
    assert FileReader([path], 9).original(0).shape == (9, 9, 3)
    assert FileReader([path], 9).read([0]).float().mean() > 250


def test_grey_arrays_become_three_equal_channels():
    pixels = np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8)
    images = ArrayReader(pixels, np.arange(2), 8).read(np.array([1]))
    assert torch.equal(images, torch.from_numpy(pixels[1]).expand(1, 3, 8, 8))


def test_fit_square_cuts_the_centre_of_the_longer_side():
    images = torch.zeros(1, 3, 8, 24, dtype=torch.uint8)
    images[..., 8:16] = 200
    for fitted in (fit_square(images, 8), fit_square(images.transpose(2, 3), 8)):
        assert torch.equal(fitted, torch.full((1, 3, 8, 8), 200, dtype=torch.uint8))


def test_an_array_is_read_by_rows_in_their_order():
    pixels = np.arange(5 * 192, dtype=np.int64).reshape(5, 8, 8, 3).astype(np.uint8)
    reader = ArrayReader(pixels, np.array([4, 1, 1]), 8)
    assert len(reader) == 3
    assert (reader.original(0) == pixels[4]).all()
    assert (reader.read([2, 0]).permute(0, 2, 3, 1).numpy() == pixels[[1, 4]]).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(31, 17), (17, 31), (5, 6), (16, 16), (33, 34)])
def test_fit_square_is_pils_resize_of_the_shorter_side(shape, interpolation):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    scale = 16 / min(shape)
    height, width = (round(side * scale) for side in shape)
    method = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    resized = np.asarray(Image.fromarray(pixels).resize((width, height), method))
    top, left = (height - 16) // 2, (width - 16) // 2
    expected = resized[top : top + 16, left : left + 16].astype(int)
    fitted = fit_square(torch.from_numpy(pixels).permute(2, 0, 1)[None], 16, interpolation)
    assert np.abs(fitted[0].permute(1, 2, 0).numpy() - expected).max() <= 2
