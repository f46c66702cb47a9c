"""The linear probe: what learns, what stays, and features from images or from before."""

import pytest
import torch
from torch import nn

from samix.config.networks import BackboneConfig
from samix.config.training import OptimizerConfig
from samix.core.step import StepContext
from samix.data import Labelled
from samix.evaluation.probe import LinearProbe
from samix.nn import build_backbone

CONTEXT = StepContext(seed=0, step=0, total_steps=1, epoch=0)
IMAGES = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 4


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return build_backbone(BackboneConfig(channels=(4, 4, 8, 8)))


def probe_of(backbone, width):
    torch.manual_seed(1)
    return LinearProbe(width, 4, OptimizerConfig(lr=0.5), backbone)


def labelled(x):
    return Labelled(x, LABELS, torch.arange(12))


def test_loss_and_accuracy_by_hand(backbone):
    probe = probe_of(None, 6)
    features = torch.randn(12, 6, generator=torch.Generator().manual_seed(2))
    metrics = probe(labelled(features), CONTEXT)
    logits = features.double() @ probe.head.weight.detach().double().T
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    assert metrics["loss"].item() == pytest.approx(-log_p[torch.arange(12), LABELS].mean().item(), rel=1e-5)
    assert metrics["train_top1"] == pytest.approx(100 * sum(logits.argmax(1) == LABELS) / 12)
    assert not metrics["train_top1"].requires_grad


def test_head_starts_small_and_is_all_that_is_optimised(backbone):
    probe = LinearProbe(500, 100, OptimizerConfig(), backbone)
    assert probe.head.bias.eq(0).all()
    assert probe.head.weight.std().item() == pytest.approx(0.01, rel=0.02)
    (only,) = probe.parameter_sets().values()
    assert [id(p) for module in only.modules for p in module.parameters()] == [
        id(p) for p in probe.head.parameters()
    ]


def test_backbone_stays_frozen_whatever_the_mode(backbone):
    probe = probe_of(backbone, backbone.width)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in probe.parameters() if p.requires_grad], lr=0.5, weight_decay=0.1)
    for _ in range(3):
        probe.train()
        assert probe.training and not backbone.training and not backbone.net.bn1.training
        probe(labelled(IMAGES), CONTEXT)["loss"].backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(p.grad is None for p in backbone.parameters())
    assert probe.head.weight.grad.abs().sum() > 0


def test_cached_features_train_like_images(backbone):
    from_images, cached = probe_of(backbone, backbone.width), probe_of(None, backbone.width)
    features = from_images.train().features(IMAGES)
    assert not features.requires_grad
    for probe, x in ((from_images, IMAGES), (cached, features)):
        optimizer = torch.optim.SGD(probe.head.parameters(), lr=0.5)
        for _ in range(4):
            optimizer.zero_grad()
            probe(labelled(x), CONTEXT)["loss"].backward()
            optimizer.step()
    assert torch.equal(from_images.head.weight, cached.head.weight)


def test_it_learns_what_is_separable():
    features = nn.functional.one_hot(LABELS, 6).float()
    probe = probe_of(None, 6)
    optimizer = torch.optim.SGD(probe.head.parameters(), lr=5.0)
    for _ in range(20):
        optimizer.zero_grad()
        metrics = probe(labelled(features), CONTEXT)
        metrics["loss"].backward()
        optimizer.step()
    assert metrics["train_top1"] == 100
