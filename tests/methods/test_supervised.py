"""The supervised learner: which loss trains which parameters, and the order; values: test_supervised_step."""

import pytest
import torch
from torch import nn

from helpers.steps import descend
from helpers.steps import step_of as step
from helpers.tiny_supervised import BATCH, KINDS, batch_of, context, learner_of
from samix.config.mixing import MaskAdjustConfig
from samix.methods.mixer_training import MixerTraining
from samix.methods.supervised import Supervised, head_names, plain_weight
from samix.mixup import Mixup, draw_lam

pytestmark = pytest.mark.slow

THETA_K = "momentum_classifier."


def gradients(learner):
    return {name: p.grad for name, p in learner.named_parameters() if p.grad is not None}


def backward(learner, number=3):
    step(learner, batch_of(number), context(number))["loss"].backward()
    return gradients(learner)


def test_encoder_losses_train_encoder_and_heads_alone():
    learner = learner_of("samix")
    learner.mixer_training = None
    own = backward(learner)
    assert own.keys() == {f"classifier.{name}" for name, _ in learner.classifier.named_parameters()}
    assert all(gradient.any() for gradient in own.values())


def test_mixer_losses_train_the_mixer_alone():
    """With the Mixer's losses the gradient of encoder and heads stays what it was, to the last bit."""
    with_mixer, without = learner_of("samix"), learner_of("samix")
    without.mixer_training = None
    own, other = backward(with_mixer), backward(without)
    mixer = {name: own.pop(name) for name in list(own) if name.startswith("policy.mixer.")}
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    idle = {"policy.mixer.key.bias"}  # softmax ignores it
    assert mixer.keys() >= {f"policy.mixer.{name}" for name, _ in with_mixer.policy.mixer.named_parameters()}
    assert all(gradient.any() for name, gradient in mixer.items() if name not in idle)


@pytest.mark.parametrize("kind", KINDS)
def test_optimisers_get_what_is_trained_and_nothing_else(kind):
    learner = learner_of(kind)
    owned = [
        p
        for parameters in learner.parameter_sets().values()
        for module in parameters.modules
        for p in module.parameters()
    ]
    trained = backward(learner)
    assert {id(p) for p in owned} == {id(p) for p in learner.parameters() if p.requires_grad}
    assert len(owned) == len({id(p) for p in owned})
    assert trained.keys() == {name for name, p in learner.named_parameters() if p.requires_grad}
    assert not any(name.startswith(THETA_K) for name in trained)


def test_each_head_learns_from_its_own_images():
    learner = learner_of("samix")
    seen = {name: [] for name in learner.classifier.heads}
    for name, inputs in seen.items():
        learner.classifier.heads[name].register_forward_pre_hook(
            lambda _, x, own=inputs: own.append(x[0].detach())
        )
    images = watch(learner.classifier)
    metrics = step(learner, batch_of(3), context(3))
    assert torch.equal(images[0], batch_of(3).images) and not torch.equal(images[1], images[0])
    assert len(seen["plain"]) == len(seen["mixed"]) == 1
    assert not torch.equal(seen["plain"][0], seen["mixed"][0])
    assert metrics.keys() >= {"loss_plain", "loss_mixed"}


def watch(network):
    """The list into which the images that a network gets are put."""
    seen = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    return seen


def partners(first, second):
    """Which row of `first` each row of `second` is."""
    same = (second[:, None] == first[None]).flatten(2).all(2)
    assert (same.sum(1) == 1).all()
    return same.int().argmax(1)


def test_one_permutation_a_branch_and_two_branches():
    """Maps and images of a branch use one permutation, once; lam and permutation of the branches differ."""
    learner, batch, ctx = learner_of("samix", adjust=MaskAdjustConfig(mode="off")), batch_of(3), context(3)
    calls = []
    learner.policy.mixer.register_forward_hook(
        lambda module, inputs, output: calls.append((*inputs[:3], output.mask.detach()))
    )
    fast, slow = watch(learner.classifier), watch(learner.momentum_classifier)
    step(learner, batch, ctx)
    used = []
    for (first, second, draws, mask), mixed in zip(calls, (fast[-1], slow[-1]), strict=True):
        index = partners(first, second)
        torch.testing.assert_close(mixed, mask * batch.images + (1 - mask) * batch.images[index])
        used.append((draws.weights[0].item(), index.tolist()))
    (lam_q, index_q), (lam_k, index_k) = used
    assert lam_q == float32(draw_lam(2.0, ctx.numpy_generator("lam"))) != lam_k
    assert lam_k == float32(draw_lam(2.0, ctx.numpy_generator("lam_mixer"))) and index_q != index_k


def float32(number):
    """The number as a float32 tensor holds it."""
    return torch.tensor(number, dtype=torch.float32).item()


def test_encoders_mask_is_adjusted_to_its_own_lam():
    """The released code takes the Mixer's."""
    learner, ctx, found = learner_of("samix", adjust=MaskAdjustConfig(margin=0.0)), context(3), []
    learner.policy.register_forward_hook(lambda module, inputs, mixed: found.append(mixed))
    step(learner, batch_of(3), ctx)
    lam, other = (draw_lam(2.0, ctx.numpy_generator(purpose)) for purpose in ("lam", "lam_mixer"))
    assert (found[0].weights[0] == float32(lam)).all() and abs(lam - other) > 0.05
    torch.testing.assert_close(found[0].mask.mean((1, 2, 3)), torch.full((BATCH,), lam), atol=1e-6, rtol=0)


def test_momentum_network_moves_after_the_step():
    learner = learner_of("samix", momentum={"start": 0.25, "end": None})
    before = [p.clone() for p in learner.momentum_classifier.parameters()]
    backward(learner)
    assert all(map(torch.equal, before, learner.momentum_classifier.parameters()))
    learner.after_step(context(3))
    pairs = zip(before, learner.classifier.parameters(), strict=True)
    for (old, fast), new in zip(pairs, learner.momentum_classifier.parameters(), strict=True):
        torch.testing.assert_close(new, 0.25 * old + 0.75 * fast)


def test_momentum_one_never_moves_it():
    learner = learner_of("samix", momentum={"start": 1.0, "end": 1.0})
    before = [p.clone() for p in learner.momentum_classifier.parameters()]
    for number in range(3):
        backward(learner, number)
        learner.after_step(context(number))
    assert all(map(torch.equal, before, learner.momentum_classifier.parameters()))


def test_momentum_network_keeps_statistics_of_plain_and_mixed_images():
    """All its layers: those behind the tap are judged on plain images as well."""
    learner = learner_of("samix")
    backward(learner)
    for network, passes in ((learner.classifier, 2), (learner.momentum_classifier, 2)):
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        assert {int(norm.num_batches_tracked) for norm in norms} == {passes}
    fast, slow = (n.backbone.net.bn1.running_mean for n in (learner.classifier, learner.momentum_classifier))
    assert not torch.equal(fast, slow)
    learner.after_step(context(3))
    assert torch.equal(slow, learner.momentum_classifier.backbone.net.bn1.running_mean)


@pytest.mark.parametrize("kind", ["none", "mixup", "cutmix", "samix_p"])
def test_without_an_online_mixer_there_is_no_momentum_network(kind):
    learner = learner_of(kind)
    assert learner.momentum_classifier is None
    learner.after_step(context(0))


def test_frozen_mixer_stays_frozen():
    """No parameter and no buffer of it moves, while everything else does (SAMix-P)."""
    learner = learner_of("samix_p")
    before = {name: tensor.clone() for name, tensor in learner.policy.state_dict().items()}
    rest = {name: tensor.clone() for name, tensor in learner.classifier.state_dict().items()}
    optimizers = [
        torch.optim.SGD([p for m in s.modules for p in m.parameters()], lr=0.1, weight_decay=0.1)
        for s in learner.parameter_sets().values()
    ]
    for number in range(3):
        learner.train()
        backward(learner, number)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        learner.after_step(context(number))
    after = learner.policy.state_dict()
    assert before.keys() == after.keys() and any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(torch.equal(rest[name], t) for name, t in learner.classifier.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "weight", "heads", "expected"),
    [
        ("none", None, ["plain"], 1.0),
        ("none", 0.0, ["plain"], 1.0),
        ("mixup", None, ["mixed"], 0.0),
        ("mixup", 0.5, ["plain", "mixed"], 0.5),
        ("samix", None, ["plain", "mixed"], 1.0),
        ("samix_p", None, ["plain", "mixed"], 1.0),
        ("samix", 0.0, ["mixed"], 0.0),
    ],
)
def test_plain_images_and_their_head(kind, weight, heads, expected):
    learner = learner_of(kind, plain_weight=weight)
    assert plain_weight(learner.config, learner.policy) == learner.plain_weight == expected
    assert head_names(learner.config, learner.policy) == list(learner.classifier.heads) == heads
    metrics = step(learner, batch_of(0), context(0))
    assert ("loss_plain" in metrics) == (expected > 0) and ("loss_mixed" in metrics) == (kind != "none")
    want = expected * metrics.get("loss_plain", 0.0) + metrics.get("loss_mixed", 0.0)
    if kind != "samix":
        torch.testing.assert_close(metrics["loss"].detach(), torch.as_tensor(want))


@pytest.mark.parametrize("no_repeat", [True, False])
def test_an_image_meets_itself_unless_that_is_forbidden(no_repeat):
    learner, own = learner_of("mixup", no_repeat=no_repeat), []
    learner.policy.register_forward_pre_hook(lambda module, inputs: own.append(inputs[2].index))
    for number in range(12):
        step(learner, batch_of(number), context(number))
    met = [bool((index == torch.arange(BATCH)).any()) for index in own]
    assert any(met) != no_repeat
    assert all(sorted(index.tolist()) == list(range(BATCH)) for index in own)


@pytest.mark.parametrize("options", [{"interval": 2}, {"switch_off": 1e-9}])
def test_a_step_without_the_mixer(options):
    learner = learner_of("samix", training=options)
    own = backward(learner)
    assert own and not any(name.startswith("policy.") for name in own)
    assert "mask_loss" not in step(learner, batch_of(3), context(3))


def test_gamma_is_clamped_after_the_step():
    learner = learner_of("samix")
    backward(learner)
    learner.policy.mixer.gamma.data.fill_(1.3)
    learner.after_step(context(0))
    assert learner.policy.mixer.gamma == 1


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_are_scalars_without_gradient(kind):
    metrics = step(learner_of(kind), batch_of(0), context(0))
    assert all(m.ndim == 0 for m in metrics.values())
    assert {name for name, m in metrics.items() if m.requires_grad} == {"loss"}


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_holds_everything(kind):
    """Two steps, load into a learner of other weights, one step: the same as three steps."""
    whole, resumed = learner_of(kind), learner_of(kind, seed=1)
    for number in range(2):
        train(whole, number)
    resumed.load_state_dict(whole.state_dict())
    train(whole, 2)
    train(resumed, 2)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def train(learner, number):
    backward(learner, number)
    descend(learner)
    learner.after_step(context(number))


def test_mixer_is_trained_under_autocast():
    learner = learner_of("samix")
    with torch.autocast("cpu", torch.bfloat16):
        loss = step(learner, batch_of(0), context(0))["loss"]
    loss.backward()
    assert loss.dtype == torch.float32
    own = dict(learner.policy.mixer.named_parameters())
    assert all(own[name].grad.any() for name in ("query.weight", "key.weight", "gamma"))


@pytest.mark.parametrize("policy", [None, Mixup()])
def test_a_mixer_is_not_left_untrained_in_silence(policy):
    whole = learner_of("samix")
    training = MixerTraining(whole.policy.mixer, whole.mixer_training.config)
    with pytest.raises(ValueError, match="SAMix as the policy"):
        Supervised(whole.classifier, whole.config, policy=policy, mixer_training=training)
