"""Scenes on disk: their objects and source images, completeness, and equal content for equal seeds."""

import numpy as np
import pytest
import torch

from samix.config.detection import SceneConfig
from samix.core.errors import DataError
from samix.data.store import MemoryStore
from samix.detection import scenes as module
from samix.detection.scenes import ObjectPool, compose_scene, compose_scenes
from samix.detection.voc import read_voc

CONFIG = SceneConfig(train=6, test=2, size=48, objects=(1, 3), object_size=(12, 20))
CLASSES = ["zero", "one", "two"]


@pytest.fixture
def store():
    """Four images per class, white blocks on black."""
    pixels = torch.zeros(12, 3, 16, 16, dtype=torch.uint8)
    for i in range(12):
        pixels[i, :, 2 : 8 + i // 2, 4:12] = 255
    return MemoryStore(pixels, torch.arange(12) % 3)


def compose(store, root, config=CONFIG, seed=0, checksum="a"):
    return compose_scenes(store, CLASSES, config, seed=seed, root=root, checksum=checksum)


def content(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_both_splits_are_sets_of_their_own(store, tmp_path):
    root = compose(store, tmp_path / "scenes")
    train = read_voc(root, "2007", "train")
    test = read_voc(root, "2007", "test", train.classes)
    assert (len(train), len(test)) == (6, 2)
    assert set(train.classes) <= set(CLASSES)
    for pictures in (train, test):
        assert {len(boxes) for boxes in pictures.boxes} <= {1, 2, 3}
        for i, boxes in enumerate(pictures.boxes):
            assert pictures.image(i).shape == (3, 48, 48)
            longer = (boxes[:, 2:] - boxes[:, :2]).max(dim=1).values
            assert longer.min() >= 9 and longer.max() <= 20
            assert boxes.min() >= 0 and boxes.max() <= 48


def test_the_same_seed_gives_the_same_files_and_another_one_others(store, tmp_path):
    first = content(compose(store, tmp_path / "a"))
    assert content(compose(store, tmp_path / "b")) == first
    assert content(compose(store, tmp_path / "c", seed=1)) != first


def test_boxes_are_tight_around_bright_objects():
    """On a plain dark ground, the pixels much brighter than the ground are the object."""
    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    pixels[:, :, 3:13, 6:10] = 255
    pool = ObjectPool(
        MemoryStore(pixels, torch.zeros(1, dtype=torch.int64)), torch.zeros(1).long(), ["a"], True
    )
    plain = SceneConfig(size=64, objects=(1, 1), object_size=(24, 24), clutter=0.0)
    seen = 0
    for seed in range(20):
        picture, objects = compose_scene(pool, plain, np.random.default_rng(seed))
        (x1, y1, x2, y2) = (int(v) for v in objects[0].box)
        grey = picture.astype(float).mean(axis=2)
        inside, outside = grey[y1:y2, x1:x2], np.ma.masked_array(grey, np.zeros_like(grey, bool))
        outside[y1:y2, x1:x2] = np.ma.masked
        if inside.min() > outside.max() + 5:
            seen += 1
        assert inside.mean() > outside.mean() + 20
    assert seen >= 15  # a few tints are at most as bright as the brightest corner of their ground


def test_objects_hardly_overlap(store):
    pool = ObjectPool(store, torch.arange(12), CLASSES, True)
    crowded = SceneConfig(size=64, objects=(8, 8), object_size=(16, 24))
    for seed in range(5):
        _, objects = compose_scene(pool, crowded, np.random.default_rng(seed))
        assert len(objects) >= 3
        for i, one in enumerate(objects):
            for other in objects[:i]:
                width = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
                height = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
                smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (one.box, other.box))
                assert max(width, 0) * max(height, 0) <= 0.25 * smaller


def test_no_image_serves_both_splits(store, tmp_path, monkeypatch):
    pools = []
    monkeypatch.setattr(
        module, "compose_scene", lambda pool, *rest: pools.append(pool) or compose_scene(pool, *rest)
    )
    compose(store, tmp_path / "scenes")
    train, test = (set(pools[i].positions.tolist()) for i in (0, -1))
    assert not train & test and train | test == set(range(12))
    for part in (train, test):
        assert {i % 3 for i in part} == {0, 1, 2}
    assert (len(train), len(test)) == (9, 3)


def test_finished_scenes_are_kept_and_others_replaced(store, tmp_path, monkeypatch):
    root = compose(store, tmp_path / "scenes")
    first = content(root)
    with monkeypatch.context() as patch:
        patch.setattr(module, "compose_scene", lambda *_: pytest.fail("composed again"))
        compose(store, root)
    compose(store, root, checksum="b")
    changed = content(root)
    assert changed["scenes.json"] != first["scenes.json"]
    compose(store, root, SceneConfig(**{**CONFIG.model_dump(), "train": 3}))
    assert len(list((root / "VOCdevkit/VOC2007/JPEGImages").iterdir())) == 5


def test_a_failure_leaves_nothing_behind(store, tmp_path, monkeypatch):
    calls = []

    def fail_late(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return compose_scene(*arguments)

    monkeypatch.setattr(module, "compose_scene", fail_late)
    with pytest.raises(KeyboardInterrupt):
        compose(store, tmp_path / "scenes")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_never_overwritten(store, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="holds other files than scenes"):
        compose(store, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_class_with_one_image_is_named(store, tmp_path):
    few = MemoryStore(store.pixels[:4], store.labels[:4])
    with pytest.raises(DataError, match="'one' has one test image only"):
        compose(few, tmp_path / "scenes")
