"""The host with a method that has two directions and no teacher of its own."""

import copy

import pytest
import torch
from additions.method.toy import Toy, ToyConfig
from torch import nn
from torch.nn import functional as F

from helpers.steps import step_of
from helpers.tiny_moco import BATCH, CLUSTERS, DIM, batch_of, context, labels_of
from samix.config.mixing import MaskAdjustConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.core.errors import ConfigError
from samix.methods import SelfSupervised
from samix.methods.mixer_training import ClusterMixerTraining, MixerTraining
from samix.mixup import Mixer, Mixup, SAMix, draw_lam, draw_pairing
from samix.nn import Encoder, build_backbone

CONFIG = ToyConfig(batch_size=BATCH, projector=ProjectorConfig(hidden=8, out=DIM))
CROSS_VIEWS = {"q2k": "qqkk", "swap": "qkkq", "same": "qqqq", "same_swap": "qkqk"}  # parents, then targets
OTHER = {"q": "k", "k": "q"}
MIXERS = ["instance", "cluster"]


def learner_of(kind, cross_view="q2k"):
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"cross_view": cross_view})
    encoder = Encoder(build_backbone(BackboneConfig(channels=(4, 4, 6, 8))), config.projector)
    policy, training = (Mixup() if kind == "mixup" else None), None
    if kind in MIXERS:
        options = SSLMixerTrainingConfig(objective=kind)
        mixer = Mixer(6, MixerConfig(init_std=0.3))
        policy = SAMix(mixer, MaskAdjustConfig(mode="off"))
        training = (
            MixerTraining(mixer, options)
            if kind == "instance"
            else ClusterMixerTraining(mixer, options, 8, CLUSTERS)
        )
    labels = labels_of("fixed") if kind == "cluster" else None
    learner = SelfSupervised(Toy(encoder, config, 0), policy=policy, mixer_training=training, labels=labels)
    with torch.no_grad():
        for parameter in learner.method.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return learner


def encode(method, images):
    """Prediction and projection (N, d) of length 1, by the method's layers."""
    projected = method.encoder.projector(method.encoder.backbone(images).pooled)
    return F.normalize(method.predictor(projected), dim=1), F.normalize(projected, dim=1)


def distance(outputs, targets):
    return (2 - 2 * F.cosine_similarity(outputs, targets.detach())).mean()


def test_plain_loss_is_the_mean_over_both_directions(float64):
    learner, batch = learner_of("none"), batch_of(0)
    again = copy.deepcopy(learner)
    metrics = step_of(learner, batch, context(0))
    metrics["loss"].backward()
    (p_q, z_q), (p_k, z_k) = (encode(again.method, view) for view in (batch.view_q, batch.view_k))
    want = (distance(p_q, z_k) + distance(p_k, z_q)) / 2
    want.backward()
    assert metrics.keys() == {"loss", "loss_ssl"}
    torch.testing.assert_close(metrics["loss"], want, atol=1e-10, rtol=1e-10)
    for own, other in zip(learner.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("cross_view", CROSS_VIEWS)
def test_mixed_loss_is_the_mean_over_both_directions(float64, cross_view):
    """In the second direction the views of the first are exchanged; pairs and lam are the same."""
    learner, batch, ctx = learner_of("mixup", cross_view).eval(), batch_of(1), context(1)
    views = {"q": batch.view_q, "k": batch.view_k}
    targets = {view: encode(learner.method, images)[1] for view, images in views.items()}
    index = draw_pairing(BATCH, ctx.shared_generator("pairing")).index
    lam = draw_lam(learner.alpha, ctx.numpy_generator("lam"))
    one, two, target_one, target_two = CROSS_VIEWS[cross_view]
    want = []
    for turn in (lambda view: view, OTHER.get):
        mixed = lam * views[turn(one)] + (1 - lam) * views[turn(two)][index]
        outputs, _ = encode(learner.method, mixed)
        first, second = targets[turn(target_one)], targets[turn(target_two)][index]
        want.append(lam * distance(outputs, first) + (1 - lam) * distance(outputs, second))
    loss = step_of(learner, batch, ctx)["loss_mixed"]
    torch.testing.assert_close(loss, sum(want) / 2, atol=1e-7, rtol=1e-7)  # the weights are float32


@pytest.mark.parametrize("kind", MIXERS)
def test_the_mixers_loss_trains_the_mixer_and_moves_nothing_of_the_method(kind):
    """The critic has the present weights without gradient, and buffers of its own."""
    learner, batch = learner_of(kind), batch_of(2)
    alone = copy.deepcopy(learner)
    alone.mixer_training = None
    metrics = step_of(learner, batch, context(2))
    metrics["loss"].backward()
    step_of(alone, batch, context(2))["loss"].backward()
    for (name, own), other in zip(learner.method.named_parameters(), alone.method.parameters(), strict=True):
        assert torch.equal(own.grad, other.grad), name
    for (name, own), other in zip(learner.method.named_buffers(), alone.method.buffers(), strict=True):
        assert torch.equal(own, other), name
    mixer = learner.mixer_training.mixer
    assert all(p.grad is not None and p.grad.isfinite().all() for p in mixer.parameters())
    assert mixer.query.weight.grad.any() and {"mixer_local", "mixer_global"} <= metrics.keys()


def test_the_critic_is_the_encoder_as_it_is(float64):
    """Without the predictor, compared with projections; gradient reaches the pixels."""
    method = learner_of("none").method
    images = torch.randn(3, 3, 16, 16, requires_grad=True)
    encoded = method.critic()(images)
    again = copy.deepcopy(method)
    _, want = encode(again, images.detach())
    torch.testing.assert_close(method.critic_outputs(encoded), want, atol=1e-12, rtol=1e-12)
    encoded.embedding.sum().backward()
    assert images.grad.any() and all(p.grad is None for p in method.parameters())
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter *= 1.5
    assert not torch.allclose(method.critic_outputs(method.critic()(images)), want)


def test_targets_and_maps_have_no_gradient():
    learner, batch = learner_of("instance"), batch_of(0)
    step_of(learner, batch, context(0))
    _, encoded, targets = learner._taught
    assert not targets.keys.requires_grad and not any(t.requires_grad for t in encoded)


def test_all_that_is_trained_is_optimised_once():
    learner = learner_of("cluster")
    owned = [
        p
        for part in learner.parameter_sets().values()
        for module in part.modules
        for p in module.parameters()
        if p.requires_grad
    ]
    assert len({id(p) for p in owned}) == len(owned)
    assert {id(p) for p in owned} == {id(p) for p in learner.parameters() if p.requires_grad}


@pytest.mark.slow
def test_a_few_steps_lower_the_loss():
    learner = learner_of("instance")
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.05)
    losses = []
    for _ in range(10):
        metrics = step_of(learner, batch_of(0), context(0))
        losses.append(metrics["loss_ssl"].item())
        metrics["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        learner.after_step(context(0))
    assert losses[-1] < losses[0] and isinstance(learner, nn.Module)


def test_the_parameters_are_held_against_the_data():
    with pytest.raises(ConfigError, match=r"model\.method\.options\.batch_size is 4, .* 3 training images"):
        Toy.check(CONFIG, 3)
    Toy.check(CONFIG, 4)
