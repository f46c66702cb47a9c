"""Features of a split: un-augmented, in order, by a network that is left as it was."""

import pytest
import torch

from samix.config.networks import BackboneConfig
from samix.data import MemoryStore, Normalize
from samix.evaluation.features import extract_features
from samix.nn import build_backbone

PIXELS = torch.randint(0, 256, (21, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(channels=(4, 4, 8, 8)))
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that eval mode must use
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return backbone


def extract(backbone, size):
    store = MemoryStore(PIXELS, torch.zeros(21, dtype=torch.int64))
    return extract_features(backbone, lambda x: backbone(x).pooled, store, Normalize(MEAN, STD), size)


@pytest.mark.parametrize("training", [True, False])
def test_equals_a_forward_in_eval_mode_and_changes_nothing(backbone, training):
    backbone.train(training)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    features = extract(backbone, size=8)
    assert backbone.training is training and backbone.net.layer1[0].bn1.training is training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert not features.requires_grad and features.dtype == torch.float32

    backbone.eval()
    images = (PIXELS / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        expected = backbone(images).pooled
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)
    assert expected.std(0).max() > 1e-3


def test_batches_do_not_matter(backbone):
    torch.testing.assert_close(extract(backbone, size=1), extract(backbone, size=100), atol=1e-5, rtol=1e-4)


def test_a_head_that_is_left_as_the_backbone(backbone):
    """Only the network that is named changes its mode; a part of it may be read."""
    backbone.train()
    store = MemoryStore(PIXELS, torch.zeros(21, dtype=torch.int64))
    taps = extract_features(
        backbone, lambda x: backbone.tap_map(x).mean((2, 3)), store, Normalize(MEAN, STD), batch_size=21
    )
    assert taps.shape == (21, 8) and backbone.training
