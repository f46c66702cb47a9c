"""The MoCo learner: the order of its step and its routes; test_moco_step has the figures."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers import naive_moco
from helpers.steps import step_of as step
from helpers.tiny_moco import BATCH, CONFIG, KINDS, SAMIX, batch_of, context, learner_of, new_keys
from samix.config.mixing import MaskAdjustConfig
from samix.mixup import Policy, draw_pairing
from samix.mixup.policy import two_parents

pytestmark = pytest.mark.slow


def gradients(module):
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", SAMIX)
def test_all_parameters_to_train_get_gradients_and_no_others(kind):
    learner = learner_of(kind)
    step(learner, batch_of(0), context(0))["loss"].backward()
    got = {name for name, g in gradients(learner).items() if g.abs().sum() > 0}
    wanted = {name for name, p in learner.named_parameters() if p.requires_grad}
    assert got >= {name for name in wanted if "key.bias" not in name}  # softmax ignores it
    owned = {
        id(p)
        for parameters in learner.parameter_sets().values()
        for module in parameters.modules
        for p in module.parameters()
        if p.requires_grad
    }
    assert owned == {id(p) for p in learner.parameters() if p.requires_grad}
    frozen = ("momentum_encoder.", "mixer_training.frozen_head.")
    assert {name for name, _ in learner.named_parameters() if name.startswith(frozen)}.isdisjoint(wanted)


@pytest.mark.parametrize("kind", SAMIX)
def test_encoder_losses_do_not_reach_the_mixer(kind):
    learner = learner_of(kind)
    mixer = learner.mixer_training.mixer
    learner.mixer_training = None
    step(learner, batch_of(0), context(0))["loss"].backward()
    assert all(p.grad is None for p in mixer.parameters())
    assert all(p.grad is not None for p in learner.method.encoder.parameters())
    assert all(p.grad is None for p in learner.method.momentum_encoder.parameters())


@pytest.mark.parametrize("kind", SAMIX)
def test_mixer_is_trained_under_autocast(kind):
    """The encoder's mask, computed first and without gradient, must not leave half-precision copies of the
    weights behind that the Mixer's own mask would then use."""
    learner = learner_of(kind)
    with torch.autocast("cpu", torch.bfloat16):
        loss = step(learner, batch_of(0), context(0))["loss"]
    loss.backward()
    assert loss.dtype == torch.float32
    own = {name: p.grad for name, p in learner.mixer_training.mixer.named_parameters()}
    for name in ("query.weight", "key.weight", "content.0.weight", "content.3.weight", "gamma"):
        assert own[name].abs().sum() > 0


def watch_encoder(learner, encoder="encoder"):
    """The list into which the images that the encoder gets are put."""
    seen = []
    net = getattr(learner.method, encoder)
    net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    return seen


@pytest.mark.parametrize("cross_view", naive_moco.CROSS_VIEWS)
@pytest.mark.parametrize("kind", SAMIX + ["mixup", "cutmix"])
def test_cross_view_builds(kind, cross_view):
    """Which views the mixed images depend on, the encoder's and the Mixer's; with frozen statistics."""
    base = batch_of(0)

    def mixed_images(batch):
        learner = learner_of(kind, config=CONFIG.model_copy(update={"cross_view": cross_view})).eval()
        online, slow = watch_encoder(learner), watch_encoder(learner, "momentum_encoder")
        step(learner, batch, context(0))
        return [online[1], slow[-1]] if kind in SAMIX else [online[1]]

    mixed = mixed_images(base)
    other_k = mixed_images(base._replace(view_k=torch.randn_like(base.view_k)))
    other_q = mixed_images(base._replace(view_q=torch.randn_like(base.view_q)))
    uses_k = cross_view in ("swap", "same_swap")
    assert all(torch.equal(a, b) != uses_k for a, b in zip(mixed, other_k, strict=True))
    assert not any(map(torch.equal, mixed, other_q))


class Given(Policy):
    """The mixed image is the first parent's, or the second's; both labels have given weights (2, N)."""

    cost = "static"

    def __init__(self, weights, take_second=False):
        super().__init__()
        self.weights, self.take_second = weights, take_second

    def draw(self, rng, lam, shape):
        return self.weights

    def forward(self, images, others, pairing, draws, info):
        return two_parents(pairing.select(others) if self.take_second else images, pairing, draws)


def alone(lam):
    """The first parent alone at lam 1, the second alone at lam 0."""
    return Given(torch.tensor([lam, 1 - lam])[:, None].expand(2, BATCH), take_second=lam == 0)


@pytest.mark.parametrize("cross_view", naive_moco.CROSS_VIEWS)
@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_cross_view_of_a_parent_alone(cross_view, lam):
    """At lam 1 and 0 the mixed loss is that of one view of a parent against one view of the same parent."""
    learner = learner_of("none", config=CONFIG.model_copy(update={"cross_view": cross_view})).eval()
    learner.policy, batch = alone(lam), batch_of(0)
    loss = step(learner, batch, context(0))["loss_mixed"]
    one, two, target_one, target_two = naive_moco.CROSS_VIEWS[cross_view]
    view, target = (one, target_one) if lam else (two, target_two)
    views = {"q": batch.view_q, "k": batch.view_k}
    with torch.no_grad():
        outputs = learner.method.encoder(views[view]).embedding
        keys = learner.method.momentum_encoder(views[target]).embedding
    logits = (
        torch.cat([(outputs * keys).sum(1, keepdim=True), outputs @ learner.method.queue.keys.T], 1) / 0.2
    )
    torch.testing.assert_close(loss, -logits.log_softmax(1)[:, 0].mean())


@pytest.mark.parametrize(
    ("kind", "cross_view", "images"),
    [
        ("none", "swap", BATCH),
        ("mixup", "q2k", BATCH),
        ("mixup", "swap", 2 * BATCH),
        ("cutmix", "same", 2 * BATCH),
        ("instance", "q2k", 2 * BATCH),
    ],
)
def test_momentum_encoder_sees_no_more_than_it_has_to(kind, cross_view, images):
    learner = learner_of(kind, config=CONFIG.model_copy(update={"cross_view": cross_view}))
    slow = watch_encoder(learner, "momentum_encoder")
    step(learner, batch_of(0), context(0))
    assert len(slow[0]) == images


SHARES = torch.tensor([[0.1, 0.9, 0.5, 0.4], [0.7, 0.3, 0.2, 0.9]])
"""Weights of both labels that differ from sample to sample and do not add up to one."""


def test_weights_of_the_labels_are_the_policys():
    learner, batch = learner_of("none").eval(), batch_of(0)
    learner.policy = Given(SHARES)
    loss = step(learner, batch, context(0))["loss_mixed"]
    index = draw_pairing(BATCH, context(0).shared_generator("pairing")).index
    with torch.no_grad():
        outputs, keys = learner.method.encoder(batch.view_q).embedding, new_keys(learner)
    total = 0.0
    for n, partner in enumerate(index.tolist()):
        for weight, key in ((SHARES[0, n], keys[n]), (SHARES[1, n], keys[partner])):
            logits = torch.cat([key[None], learner.method.queue.keys]) @ outputs[n] / 0.2
            total = total - weight * logits.log_softmax(0)[0]
    torch.testing.assert_close(loss, total / BATCH)


def partners(first, second):
    """Which row of `first` each row of `second` is."""
    same = (second[:, None] == first[None]).flatten(2).all(2)
    assert (same.sum(1) == 1).all()
    return same.int().argmax(1)


@pytest.mark.parametrize("kind", SAMIX)
def test_one_permutation_a_branch_and_two_branches(kind):
    """Maps and images of a branch use the same permutation; lam and permutation of the branches differ."""
    learner, batch = learner_of(kind), batch_of(0)
    learner.policy.adjust = MaskAdjustConfig(mode="off")
    calls = []
    learner.mixer_training.mixer.register_forward_hook(
        lambda module, inputs, output: calls.append((*inputs, output.mask.detach()))
    )
    online, slow = watch_encoder(learner), watch_encoder(learner, "momentum_encoder")
    step(learner, batch, context(0))
    assert len(calls) == 2 and len(slow) == 2
    used = []
    for (first, second, draws, _, mask), mixed in zip(calls, (online[1], slow[1]), strict=True):
        index = partners(first, second)
        torch.testing.assert_close(mixed, mask * batch.view_q + (1 - mask) * batch.view_q[index])
        used.append((draws.weights[0].item(), index.tolist()))
    (lam_q, index_q), (lam_k, index_k) = used
    assert lam_q != lam_k and index_q != index_k


def test_mixing_at_lam_one_is_the_plain_loss():
    learner = learner_of("none")
    learner.policy = alone(1.0)
    metrics = step(learner, batch_of(0), context(0))
    assert metrics["loss_mixed"].item() == metrics["loss_ssl"].item()
    assert metrics["loss"].item() == 2 * metrics["loss_ssl"].item()


def test_momentum_encoder_moves_before_the_keys():
    """With m 0 the keys are the encoder's own."""
    learner = learner_of("none", config=CONFIG.model_copy(update={"ema": 0.0})).eval()
    batch = batch_of(0)
    step(learner, batch, context(0))
    torch.testing.assert_close(new_keys(learner), learner.method.encoder(batch.view_k).embedding.detach())


def test_m_one_keeps_the_momentum_encoder():
    learner = learner_of("none", config=CONFIG.model_copy(update={"ema": 1.0}))
    before = [p.clone() for p in learner.method.momentum_encoder.parameters()]
    step(learner, batch_of(0), context(0))
    assert all(map(torch.equal, before, learner.method.momentum_encoder.parameters()))


def test_momentum_encoder_keeps_its_own_statistics():
    learner = learner_of("mixup")
    first = learner.method.encoder.backbone.net.bn1
    first.running_mean.fill_(50)
    batch = batch_of(0)
    step(learner, batch, context(0))
    own = learner.method.momentum_encoder.backbone.net.bn1
    assert own.num_batches_tracked == 1 and first.num_batches_tracked == 2
    seen = F.conv2d(batch.view_k, learner.method.momentum_encoder.backbone.net.conv1.weight, padding=1)
    torch.testing.assert_close(own.running_mean, 0.1 * seen.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


def test_statistics_follow_where_that_is_asked_for():
    learner = learner_of("none", config=CONFIG.model_copy(update={"ema_buffers": True})).eval()
    one, other = (net.backbone.net.bn1 for net in (learner.method.encoder, learner.method.momentum_encoder))
    one.running_mean.fill_(50)
    step(learner, batch_of(0), context(0))
    torch.testing.assert_close(other.running_mean, 0.1 * one.running_mean)  # m is 0.9


@pytest.mark.parametrize("kind", ["none", "instance"])
def test_queue_takes_the_keys_after_the_step_and_drops_the_oldest(kind):
    learner = learner_of(kind)
    rows, index = list(learner.method.queue.keys.clone()), learner.method.queue.index.tolist()
    for number in range(5):  # the queue holds two batches: it wraps around twice
        step(learner, batch_of(number), context(number))["loss"].backward()
        assert torch.equal(learner.method.queue.keys, torch.stack(rows))
        learner.after_step(context(number))
        for place, key in enumerate(new_keys(learner)):
            rows[number % 2 * BATCH + place] = key
            index[number % 2 * BATCH + place] = batch_of(number).index[place].item()
        assert torch.equal(learner.method.queue.keys, torch.stack(rows))
        assert learner.method.queue.index.tolist() == index


def test_own_keys_are_no_negatives_of_the_same_step():
    """Equal weights and statistics, view_k = view_q: the positive is 1 and no negative can be."""
    learner = learner_of("none", config=CONFIG.model_copy(update={"ema": 0.0})).eval()
    batch = batch_of(0)
    batch = batch._replace(view_k=batch.view_q)
    assert step(learner, batch, context(0))["queue_top1"] == 1
    learner.method.queue.keys.copy_(-new_keys(learner).repeat(2, 1))
    assert step(learner, batch, context(0))["loss_ssl"] < 0.7


def test_gamma_is_clamped_after_the_step():
    learner = learner_of("instance")
    step(learner, batch_of(0), context(0))
    learner.mixer_training.mixer.gamma.data.fill_(1.3)
    learner.after_step(context(0))
    assert learner.mixer_training.mixer.gamma == 1


def test_metrics_are_scalars_without_gradient():
    for kind in KINDS:
        metrics = step(learner_of(kind), batch_of(0), context(0))
        assert all(m.ndim == 0 for m in metrics.values())
        assert {name for name, m in metrics.items() if m.requires_grad} == {"loss"}


def test_learner_is_a_module_that_runs_through_forward():
    """DDP and autocast wrap forward."""
    learner = learner_of("none")
    assert isinstance(learner, nn.Module)
    assert step(learner, batch_of(0), context(0))["loss"].requires_grad
