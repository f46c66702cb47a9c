"""Training of a detector: losses, order of the pictures, mirroring, and learning."""

import pytest
import torch
from PIL import Image

from samix.config.detection import DetectionConfig, DetectorConfig
from samix.config.networks import BackboneConfig
from samix.config.training import OptimizerConfig
from samix.core.errors import ConfigError
from samix.core.step import StepContext
from samix.data.batches import epoch_order
from samix.detection import learner as module
from samix.detection.faster_rcnn_c4 import build_faster_rcnn_c4
from samix.detection.learner import DetectionBatches, DetectorLearner, mirrored_boxes
from samix.detection.voc import DetectionSet
from samix.nn import build_backbone


@pytest.fixture
def pictures(tmp_path):
    """Seven pictures of 64 x 48 pixels whose brightness is their number, with a bright box each."""
    paths, boxes = [], []
    for i in range(7):
        image = Image.new("RGB", (64, 48), (i, i, i))
        image.paste((250, 250, 250), (8 + i, 10, 28 + i, 30))
        paths.append(tmp_path / f"{i}.png")
        image.save(paths[-1])
        boxes.append(torch.tensor([[8.0 + i, 10, 28 + i, 30]]))
    ones = [torch.ones(1, dtype=torch.int64)] * 7
    return DetectionSet(paths, boxes, ones, [torch.zeros(1, dtype=torch.bool)] * 7, ["block"])


def context(step=0, rank=0, world_size=1):
    return StepContext(seed=3, step=step, total_steps=10, epoch=0, rank=rank, world_size=world_size)


def batches_of(pictures, **options):
    return DetectionBatches(pictures, DetectionConfig(**{"batch_size": 2, **options}), seed=0)


def numbers(batch):
    return [round(float(image[0, 0, 0]) * 255) for image in batch.images]


def test_an_epoch_shows_every_picture_once_in_its_own_order(pictures):
    batches = batches_of(pictures)
    assert batches.steps_per_epoch == 3
    seen = [numbers(batches.load(context(step))) for step in range(6)]
    for epoch in (0, 1):
        expected = epoch_order(7, 0, epoch)[:6].tolist()
        assert sum(seen[3 * epoch : 3 * epoch + 3], []) == expected
    assert seen[:3] != seen[3:]


def test_ranks_share_the_batch(pictures):
    batches = batches_of(pictures, batch_size=4)
    parts = [numbers(batches.load(context(rank=rank, world_size=2))) for rank in (0, 1)]
    assert sum(parts, []) == numbers(batches.load(context()))
    with pytest.raises(ConfigError, match="cannot be shared by 3 processes"):
        batches.load(context(world_size=3))


def test_a_batch_larger_than_the_set_is_refused(pictures):
    with pytest.raises(ConfigError, match="batch_size=8 is larger than the 7"):
        batches_of(pictures, batch_size=8)


def test_boxes_point_at_the_object_mirrored_or_not(pictures):
    """The bright block is inside its box in every picture, whichever way it is turned."""
    batches = batches_of(pictures, flip=True, batch_size=7)
    turned = 0
    for step in range(6):
        batch = batches.load(context(step))
        for number, image, target in zip(numbers(batch), batch.images, batch.targets, strict=True):
            (x1, y1, x2, y2) = target["boxes"][0].int().tolist()
            assert image.dtype == torch.float32 and image[:, y1:y2, x1:x2].min() > 0.9
            outside = image.clone()
            outside[:, y1:y2, x1:x2] = 0
            assert outside.max() < 0.1
            turned += x1 != 8 + number
    assert 8 < turned < 34  # about half of 42
    again = batches_of(pictures, flip=True, batch_size=7).load(context(2))
    assert torch.equal(again.images[0], batches.load(context(2)).images[0])
    plain = batches_of(pictures).load(context())
    assert [int(t["boxes"][0, 0]) - 8 for t in plain.targets] == numbers(plain)


def test_mirroring_twice_is_nothing():
    boxes = torch.tensor([[0.0, 1, 10, 5], [3, 2, 64, 9]])
    once = mirrored_boxes(boxes, 64)
    assert torch.equal(once, torch.tensor([[54.0, 1, 64, 5], [0, 2, 61, 9]]))
    assert torch.equal(mirrored_boxes(once, 64), boxes)


def test_pictures_stay_in_memory_only_while_they_fit(pictures, monkeypatch):
    monkeypatch.setattr(module, "_MEMORY_LIMIT", 3 * 64 * 48 * 3)
    batches = batches_of(pictures, batch_size=7)
    first = batches.load(context())
    assert len(batches._kept) == 3
    for path in (pictures.paths[i] for i in batches._kept):
        path.unlink()  # kept ones are not read again, the others are
    assert numbers(batches.load(context())) == numbers(first)


@pytest.fixture
def learner():
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(channels=(16, 16, 16, 16)))
    config = DetectorConfig(min_size=(48,), max_size=64, anchor_sizes=(20,), rpn_batch=32, box_batch=16)
    detector = build_faster_rcnn_c4(backbone, 1, config, mean=[0.1] * 3, std=[0.3] * 3)
    return DetectorLearner(detector, OptimizerConfig(lr=0.02))


def test_loss_is_the_sum_of_the_four(learner, pictures):
    metrics = learner(batches_of(pictures).load(context()), context())
    assert metrics.keys() == {
        "loss",
        "loss_classifier",
        "loss_box_reg",
        "loss_objectness",
        "loss_rpn_box_reg",
    }
    parts = [value for name, value in metrics.items() if name != "loss"]
    assert metrics["loss"].item() == pytest.approx(sum(value.item() for value in parts))
    assert metrics["loss"].requires_grad and not any(value.requires_grad for value in parts)


def test_one_set_holds_every_parameter(learner):
    (parameters,) = learner.parameter_sets().values()
    held = [p for m in parameters.modules for p in m.parameters()]
    assert len(held) == len(list(learner.parameters())) and parameters.optimizer.lr == 0.02


@pytest.mark.slow
def test_a_few_steps_find_the_objects(learner, pictures):
    batches = batches_of(pictures, batch_size=4)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(20):
        torch.manual_seed(step)
        loss = learner(batches.load(context(step)), context(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
