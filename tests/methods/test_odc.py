"""The ODC learner: its loss, the order of reading and writing labels, its state."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.steps import step_of as step
from samix.clustering.memory import ODCMemory
from samix.config.clustering import ClusteringConfig
from samix.config.networks import BackboneConfig
from samix.config.training import OptimizerConfig
from samix.core.step import StepContext
from samix.data import Labelled
from samix.methods.odc import ODCLearner
from samix.nn import build_backbone
from samix.training.optimizers import make_optimizer

IMAGES, DIM, BATCH = 24, 6, 8
CONFIG = ClusteringConfig(clusters=3, min_cluster=2, centroid_interval=2)
PIXELS = torch.randn(IMAGES, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def learner_of(seed=0):
    torch.manual_seed(seed)
    backbone = build_backbone(BackboneConfig(channels=(4, 4, 8, 8)))
    neck = nn.Sequential(nn.Linear(backbone.width, 10), nn.ReLU(), nn.Linear(10, DIM))
    return ODCLearner(backbone, neck, ODCMemory(IMAGES, DIM, CONFIG), OptimizerConfig(lr=0.1, momentum=0.9))


@pytest.fixture
def learner():
    learner = learner_of()
    learner.memory.initialise(torch.randn(IMAGES, DIM, generator=torch.Generator().manual_seed(1)), 0)
    return learner


def batch_of(step):
    index = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(step))[:BATCH]
    no_labels = torch.full((BATCH,), -1)  # classes are not for ODC
    return Labelled(PIXELS[index], no_labels, index)


def context(step):
    return StepContext(seed=0, step=step, total_steps=10, epoch=0)


def train(learner, steps):
    sets = learner.parameter_sets().values()
    optimizers = [
        torch.optim.SGD([p for module in s.modules for p in module.parameters()], lr=s.optimizer.lr)
        for s in sets
    ]
    history = []
    for number in steps:
        metrics = step(learner, batch_of(number), context(number))
        metrics["loss"].backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        learner.after_step(context(number))
        history.append({key: value.item() for key, value in metrics.items()})
    return history


def test_loss_and_metrics_by_hand(learner):
    batch, memory = batch_of(0), learner.memory
    learner.eval()  # BatchNorm as a fixed function, so that the features can be computed again
    with torch.no_grad():
        features = learner.neck(learner.backbone(batch.images).pooled)
        log_p = learner.head(features).double().log_softmax(1)
    labels = memory.labels[batch.index]
    sizes = [(memory.labels == c).sum().item() for c in range(3)]
    inverse = [(size + 1e-5) ** -0.5 for size in sizes]
    losses = [-log_p[n, y] * 3 * inverse[y] / sum(inverse) for n, y in enumerate(labels.tolist())]

    metrics = step(learner, batch, context(0))
    assert metrics["loss"].item() == pytest.approx(sum(losses).item() / BATCH, rel=1e-5)
    assert metrics["top1"] == (log_p.argmax(1) == labels).float().mean()
    assert (metrics["cluster_min"], metrics["cluster_max"]) == (min(sizes), max(sizes))
    assert metrics["cluster_empty"] == 0
    assert [key for key, value in metrics.items() if value.requires_grad] == ["loss"]


def test_gradient_reaches_backbone_neck_and_head(learner):
    step(learner, batch_of(0), context(0))["loss"].backward()
    for parameters in learner.parameter_sets().values():
        for module in parameters.modules:
            assert all(p.grad is not None for p in module.parameters())
            assert sum(p.grad.abs().sum() for p in module.parameters()) > 0


def test_memory_changes_after_the_step_with_the_features_of_the_step(learner):
    batch, before = batch_of(0), {k: v.clone() for k, v in learner.memory.state_dict().items()}
    learner.eval()
    step(learner, batch, context(0))
    for key, value in learner.memory.state_dict().items():
        assert torch.equal(value, before[key])  # nothing is written before the optimiser's step
    with torch.no_grad():
        features = learner.neck(learner.backbone(batch.images).pooled)
    learner.after_step(context(0))
    blended = F.normalize((before["features"][batch.index] + F.normalize(features)) / 2)
    torch.testing.assert_close(learner.memory.features[batch.index], blended)
    others = torch.ones(IMAGES, dtype=torch.bool).index_fill(0, batch.index, False)
    assert torch.equal(learner.memory.features[others], before["features"][others])


def test_change_ratio_is_that_of_the_step_before(learner):
    first = step(learner, batch_of(0), context(0))
    labels = learner.memory.labels[batch_of(0).index].clone()
    learner.memory.handle_small_clusters = lambda: None
    learner.after_step(context(0))
    changed = (learner.memory.labels[batch_of(0).index] != labels).float().mean()
    assert first["change_ratio"] == 0 and changed > 0
    assert step(learner, batch_of(1), context(1))["change_ratio"] == changed


def test_memory_is_maintained_at_the_step_of_the_context(learner, monkeypatch):
    steps = []
    monkeypatch.setattr(learner.memory, "maintain", steps.append)
    train(learner, range(4, 7))
    assert steps == [4, 5, 6]


def test_head_starts_small_and_learns_without_momentum(learner):
    sets = learner.parameter_sets()
    assert sets["encoder"].optimizer.momentum == 0.9
    assert sets["head"].optimizer == OptimizerConfig(lr=0.1, momentum=0.0)
    own = {id(p) for s in sets.values() for module in s.modules for p in module.parameters()}
    assert own == {id(p) for p in learner.parameters()}
    assert learner.head.bias.eq(0).all() and 0.005 < learner.head.weight.std() < 0.02


def test_head_has_no_nesterov_momentum_either(learner):
    """torch refuses Nesterov's momentum of 0."""
    learner.optimizer = OptimizerConfig(lr=0.1, nesterov=True)
    sets = learner.parameter_sets()
    made = {name: make_optimizer(parameters) for name, parameters in sets.items()}
    assert [made[name].defaults["nesterov"] for name in ("encoder", "head")] == [True, False]


def test_resume_is_exact(learner):
    resumed = learner_of(seed=1)
    train(learner, range(3))
    resumed.load_state_dict(learner.state_dict())
    assert train(resumed, range(3, 7)) == train(learner, range(3, 7))
    for key, value in learner.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value)


@pytest.mark.slow
def test_training_lowers_the_loss_on_frozen_labels(learner):
    learner.memory.update = lambda index, features: torch.zeros(())
    losses = [row["loss"] for row in train(learner, [0] * 100)]
    assert losses[-1] < 0.5 * losses[0]
