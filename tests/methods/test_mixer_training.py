"""SAMix-I and SAMix-C inside a host: which loss trains which parameters."""

import copy

import pytest
import torch
from torch.nn import functional as F

from samix.config.mixing import ClusterConfig, SSLMixerTrainingConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.core.step import BatchShape, StepContext
from samix.methods.mixer_training import ClusterMixerTraining, MixerInputs, MixerTraining
from samix.mixup import Mixer, draw_pairing
from samix.mixup.mixer.step import Critic, ParentInputs
from samix.nn import Encoder, build_backbone, frozen_copy
from samix.objectives import InstanceObjective, InstanceTargets

N, WIDTH = 5, 8
LABELS = torch.tensor([0, 0, 1, 2, 1, 0, 2, 2, 0, 1, 1, 2])
WEIGHTS = torch.tensor([0.5, 1.5, 1.0])
INDEX = torch.tensor([7, 0, 4, 9, 11])  # labels 2, 0, 1, 1, 2
CTX = StepContext(seed=0, step=2, total_steps=10, epoch=0)


class Host:
    """The inputs that a host gives the Mixer's training."""

    def __init__(self):
        torch.manual_seed(0)
        backbone = build_backbone(BackboneConfig(channels=(4, 4, 6, WIDTH)))
        self.encoder = frozen_copy(Encoder(backbone, ProjectorConfig(hidden=8, out=6)))
        self.images = torch.randn(N, 3, 16, 16)
        with torch.no_grad():
            self.encoded = self.encoder(self.images)
            keys = self.encoder(torch.randn(N, 3, 16, 16)).embedding
        queue = F.normalize(torch.randn(8, 6), dim=1)
        self.objective = InstanceObjective(queue, 0.2)
        self.query_pooled = torch.randn(N, WIDTH, requires_grad=True)
        self.parent = ParentInputs(self.images, self.encoded.tap, InstanceTargets(keys, INDEX))

    def losses(self, training, ctx=CTX, labels=LABELS, weights=WEIGHTS):
        inputs = MixerInputs(
            critic=Critic(self.encoder, lambda encoded: encoded.embedding, self.objective),
            parents=(self.parent, self.parent),
            plain=self.encoded,
            labels=None if labels is None else labels[INDEX],
            weights=weights,
            pooled=self.query_pooled,
        )
        pairing = draw_pairing(N, ctx.shared_generator("pairing_mixer"))
        draws = training.draw(ctx, BatchShape(N, 16, 16), pairing)
        training.before_step()
        return training.losses(inputs, draws)


def training_of(kind, width=WIDTH, **options):
    torch.manual_seed(1)
    mixer = Mixer(6, MixerConfig())
    for parameter in mixer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    config = SSLMixerTrainingConfig(objective=kind, **options)
    if kind == "instance":
        return MixerTraining(mixer, config)
    training = ClusterMixerTraining(mixer, config, width, len(WEIGHTS))
    training.head.weight.data.normal_()
    return training


def grads(module):
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize("kind", ["instance", "cluster"])
def test_only_its_own_parameters_are_trained(kind):
    host, training = Host(), training_of(kind)
    host.losses(training)[0].backward()
    own = grads(training)
    assert {"mixer.gamma", "mixer.query.weight", "mixer.key.weight", "mixer.content.0.weight"} <= own
    assert ("head.weight" in own) == ("head.bias" in own) == (kind == "cluster")
    assert not any(name.startswith("frozen_head") for name in own)
    assert not grads(host.encoder) and host.query_pooled.grad is None
    (parameters,) = training.parameter_sets().values()
    assert parameters.modules == [training] and parameters.optimizer == training.config.optimizer


def test_head_is_trained_by_its_own_loss_alone():
    """CE on the clean features plus mixed CE on the mixed ones, both without a way to the Mixer."""
    host, training = Host(), training_of("cluster")
    mixed = []
    host.encoder.register_forward_hook(lambda module, inputs, out: mixed.append(out.pooled.detach()))
    pairs = []
    training.mixer.register_forward_pre_hook(lambda module, inputs: pairs.append(inputs[:3]))
    loss, metrics = host.losses(training)
    loss.backward()
    first, second, draws = pairs[0]
    lam, rest = draws.weights
    index = (second[:, None] == first[None]).flatten(2).all(2).int().argmax(1)
    labels = LABELS[INDEX]
    weight = training.head.weight.detach().clone().requires_grad_()

    def ce(features, targets):
        """Weighted, divided by N."""
        return F.cross_entropy(F.linear(features, weight), targets, weight=WEIGHTS, reduction="sum") / N

    want = ce(host.encoded.pooled, labels)
    want = want + lam * ce(mixed[0], labels) + rest * ce(mixed[0], labels[index])
    want.backward()
    torch.testing.assert_close(metrics["head_loss"], want.detach())
    torch.testing.assert_close(training.head.weight.grad, weight.grad)


def test_head_loss_does_not_reach_the_mixer():
    """The Mixer's gradient is the same when the head's loss is taken away."""
    host = Host()
    with_head, without = training_of("cluster"), training_of("cluster")
    loss, _ = host.losses(with_head)
    loss.backward()
    head = copy.deepcopy(without.head)
    without.head.forward = lambda features: head(features.detach())
    loss, _ = host.losses(without)
    loss.backward()
    for a, b in zip(with_head.mixer.parameters(), without.mixer.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_critic_has_the_head_as_it_was_before_the_step():
    host, training = Host(), training_of("cluster")
    assert not torch.equal(training.frozen_head.weight, training.head.weight)
    host.losses(training)
    assert torch.equal(training.frozen_head.weight, training.head.weight)
    assert torch.equal(training.frozen_head.bias, training.head.bias)
    before = training.head.weight.clone()
    training.head.weight.data += 1
    assert torch.equal(training.frozen_head.weight, before)  # a copy, not the same tensor


@pytest.mark.parametrize("kind", ["instance", "cluster"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_eta_and_beta_weigh_the_terms(kind, eta):
    host, training = Host(), training_of(kind, eta=eta)
    loss, metrics = host.losses(training)
    want = metrics["mixer_local"] + eta * metrics["mixer_global"] + 0.1 * 0.8 * metrics["mask_loss"]
    torch.testing.assert_close(loss.detach(), want + metrics.get("head_loss", torch.zeros(())))


def test_one_cluster_leaves_no_local_term():
    """Every pair is of one cluster: 0 and not NaN, and the rest still trains the Mixer."""
    host, training = Host(), training_of("cluster")
    loss, metrics = host.losses(training, labels=torch.ones(12, dtype=torch.long))
    loss.backward()
    assert metrics["mixer_local"] == 0
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in training.mixer.parameters())
    assert grads(training.mixer)


def test_labels_are_those_of_the_images_in_the_batch():
    """Labels of images that are not in the batch change nothing; those in it do."""
    host = Host()
    absent, present = LABELS.clone(), LABELS.clone()
    absent[1], present[7] = 2, 0
    losses = [
        host.losses(training_of("cluster"), labels=labels)[0].item() for labels in (LABELS, absent, present)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_weights_of_clusters_enter_the_global_and_the_head_loss_alone():
    host = Host()
    plain = host.losses(training_of("cluster"), weights=torch.ones(3))[1]
    weighted = host.losses(training_of("cluster"))[1]
    assert plain["mixer_local"] == weighted["mixer_local"]
    assert plain["mixer_global"] != weighted["mixer_global"]
    assert plain["head_loss"] != weighted["head_loss"]


def test_head_starts_small_and_its_accuracy_is_reported():
    torch.manual_seed(0)
    training = ClusterMixerTraining(Mixer(6, MixerConfig()), SSLMixerTrainingConfig(), 2048, 3)
    assert training.head.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not training.head.bias.any()
    assert torch.equal(training.frozen_head.weight, training.head.weight)
    host, training = Host(), training_of("cluster")
    with torch.no_grad():
        training.head.weight.zero_()
        training.head.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))  # always says 1, right for two of five
    assert host.losses(training)[1]["head_top1"].item() == pytest.approx(0.4)


def test_a_renewed_head_has_forgotten_everything():
    torch.manual_seed(0)
    training = ClusterMixerTraining(Mixer(6, MixerConfig()), SSLMixerTrainingConfig(), 2048, 3)
    before = training.head.weight.detach().clone()
    training.head.bias.data.fill_(1)
    training.reset_head()
    assert training.head.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not torch.equal(training.head.weight, before) and not training.head.bias.any()


def test_clusters_without_labels_are_a_mistake():
    with pytest.raises(ValueError, match="requires labels"):
        Host().losses(training_of("cluster"), labels=None)


def epoch(number):
    return StepContext(seed=0, step=2, total_steps=10, epoch=number)


def test_instances_before_the_clusters():
    """Until start_epoch instances score the Mixer; the head learns from the first step on."""
    host = Host()
    options = {"cluster": ClusterConfig(start_epoch=3)}
    terms = ("mixer_local", "mixer_global")
    early = host.losses(training_of("cluster", **options), epoch(2))[1]
    late = host.losses(training_of("cluster", **options), epoch(3))[1]
    instance = host.losses(training_of("instance"), epoch(2))[1]
    cluster = host.losses(training_of("cluster"), epoch(2))[1]
    assert [early[term] for term in terms] == [instance[term] for term in terms]
    assert [late[term] for term in terms] == [cluster[term] for term in terms]
    assert early["head_loss"] == late["head_loss"] == cluster["head_loss"]


def test_head_may_see_the_projectors_output():
    """Before it is brought to length 1; plain and mixed images alike."""
    host = Host()
    training = training_of("cluster", width=6, cluster=ClusterConfig(features="projection"))
    mixed = []
    host.encoder.projector.register_forward_hook(lambda module, inputs, out: mixed.append(out.detach()))
    seen = {name: [] for name in ("head", "frozen_head")}
    for name, inputs in seen.items():
        getattr(training, name).register_forward_pre_hook(lambda _, x, own=inputs: own.append(x[0].detach()))
    host.losses(training)
    assert torch.equal(seen["head"][0], host.encoded.projection)
    assert torch.equal(seen["head"][1], mixed[0]) and torch.equal(seen["frozen_head"][0], mixed[0])
    assert (mixed[0].norm(dim=1) - 1).abs().min() > 0.01


def test_encoder_may_learn_the_clusters_of_plain_images():
    """Under the frozen head: the trained one has its own loss and no second one."""
    host, alone = Host(), Host()
    training = training_of("cluster", cluster=ClusterConfig(train_encoder=True))
    loss, metrics = host.losses(training)
    loss.backward()
    without = training_of("cluster")
    less, _ = alone.losses(without)
    less.backward()
    pooled = host.query_pooled.detach().requires_grad_()
    head = training.head
    want = (
        F.cross_entropy(F.linear(pooled, head.weight, head.bias), LABELS[INDEX], WEIGHTS, reduction="sum") / N
    )
    torch.testing.assert_close(loss - less, want)
    torch.testing.assert_close(host.query_pooled.grad, torch.autograd.grad(want, pooled)[0])
    assert alone.query_pooled.grad is None
    torch.testing.assert_close(training.head.weight.grad, without.head.weight.grad)
    assert metrics.keys() >= {"head_loss", "head_top1"}


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("kind", ["instance", "cluster"])
def test_a_step_that_leaves_the_mixer_out(kind, keeps):
    """No loss at all, or the mask's; the head goes on with plain images."""
    host, training = Host(), training_of(kind, interval=3, switch_off_keeps_mask_loss=keeps)  # step 2
    loss, metrics = host.losses(training)
    assert "mixer_local" not in metrics and ("mask_loss" in metrics) == keeps
    if loss is None:
        assert kind == "instance" and not keeps
        return
    loss.backward()
    assert bool(grads(training.mixer)) == keeps
    want = 0.1 * 0.8 * metrics["mask_loss"] if keeps else torch.zeros(())
    if kind == "cluster":
        logits = F.linear(host.encoded.pooled, training.head.weight, training.head.bias)
        plain = F.cross_entropy(logits, LABELS[INDEX], WEIGHTS, reduction="sum") / N
        torch.testing.assert_close(metrics["head_loss"], plain.detach())
        want = want + plain.detach()
    torch.testing.assert_close(loss.detach(), want)


@pytest.mark.parametrize("kind", ["instance", "cluster"])
def test_steps_draw_pairs_and_ratios_of_their_own(kind):
    host, training, seen = Host(), training_of(kind), []
    training.mixer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[:3]))
    for step in (0, 1, 1):
        host.losses(training, StepContext(seed=0, step=step, total_steps=10, epoch=0))
    maps_0, maps_1, again = (second for _, second, _ in seen)
    lam_0, lam_1, lam_again = (draws.weights[0].item() for _, _, draws in seen)
    assert lam_0 != lam_1 == lam_again
    assert not torch.equal(maps_0, maps_1) and torch.equal(maps_1, again)
