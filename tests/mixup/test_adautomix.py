"""AdAutoMix: its network, its mixes and its losses against loops in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helpers.mixing import mixed_pairs
from helpers.steps import step_of
from samix.config.adautomix import AdAutoMixConfig
from samix.config.mixing import MixerTrainingConfig, PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.supervised import SupervisedConfig
from samix.core.step import StepContext
from samix.data import Labelled
from samix.methods.adversarial import AdversarialTraining
from samix.methods.supervised import Supervised, head_names, plain_weight
from samix.mixup import AdAutoMix, ImageInfo, PairInfo
from samix.mixup.policies.adautomix import AdversarialMixer, draw_shares
from samix.nn import Classifier, build_backbone

CHANNELS, SIZE = 6, (8, 6)


def network(seed=0):
    torch.manual_seed(seed)
    return AdversarialMixer(CHANNELS, init_std=0.5)


def policy_of(**options):
    return AdAutoMix(network(), AdAutoMixConfig(**options))


def mixed(policy, images, maps, seed=0):
    """seed: or a generator."""
    return mixed_pairs(policy, images, images, 0.5, seed, info=PairInfo(ImageInfo(maps=maps)))


def masks_by_loops(net, maps, shares):
    """A_k = softmax_j(sum_{l != k} q_k(i) . k_l(j) / sqrt(d)), r_k = A_k v_k, softmax over k."""
    k, n, _, h, w = maps.shape

    def conv(layer, x):
        return torch.einsum("oc,cij->oij", layer.weight[:, :, 0, 0], x) + layer.bias[:, None, None]

    out = torch.zeros(k, n, h, w, dtype=maps.dtype)
    for sample in range(n):
        told = [
            torch.cat([torch.full((1, h, w), shares[p], dtype=maps.dtype), maps[p, sample]]) for p in range(k)
        ]
        q, key, v = ([conv(layer, x).flatten(1) for x in told] for layer in (net.query, net.key, net.content))
        for p in range(k):
            logits = torch.zeros(h * w, h * w, dtype=maps.dtype)
            for other in range(k):
                if other != p:
                    for i in range(h * w):
                        for j in range(h * w):
                            logits[i, j] += (q[p][:, i] * key[other][:, j]).sum() / q[p].shape[0] ** 0.5
            out[p, sample] = (logits.softmax(1) @ v[p][0]).view(h, w)
    return out.softmax(0)


@pytest.mark.parametrize("k", [2, 3])
def test_masks_are_the_formula(float64, k):
    net = network()
    for parameter in net.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    maps, shares = torch.randn(k, 2, CHANNELS, 3, 2), [0.5, 0.2, 0.3][:k]
    got = net(maps, torch.tensor(shares), (3, 2))
    torch.testing.assert_close(got[:, :, 0], masks_by_loops(net, maps, shares), atol=1e-9, rtol=0)


@settings(deadline=None, max_examples=20)
@given(n=st.integers(2, 5), seed=st.integers(0, 99), k=st.integers(2, 4), rest=st.booleans())
def test_what_every_mix_promises(n, seed, k, rest):
    images = torch.rand(n, 3, *SIZE)
    before = images.clone()
    out = mixed(policy_of(parents=k, random_parents=rest), images, torch.randn(n, CHANNELS, 4, 3), seed)
    assert torch.equal(images, before) and out.images.shape == images.shape
    index, shares = out.index, out.weights
    assert shares.shape == index.shape and (2 <= len(index) <= k if rest else len(index) == k)
    torch.testing.assert_close(shares.sum(0), torch.ones(n))
    assert all(sorted(row) == list(range(n)) for row in index.tolist())
    if len(index) == 2:
        assert index[0].tolist() == list(range(n)) and out.extra is None
        assert out.own_first and out.mask.shape == (n, 1, *SIZE)
    else:
        assert not out.own_first and out.mask.shape == (len(index), n, 1, *SIZE)
        torch.testing.assert_close(out.mask.sum(0), torch.ones(n, 1, *SIZE))
        torch.testing.assert_close(out.images, (out.mask * images[index]).sum(0))
    if out.extra is not None:
        weight, linear = out.extra
        assert weight == 0.5 and torch.equal(linear.index, index) and torch.equal(linear.weights, shares)
        want = sum(share * images[rows] for rows, share in zip(index, shares[:, 0], strict=True))
        torch.testing.assert_close(linear.images, want)
    low, high = images[index].amin(0), images[index].amax(0)
    assert (out.images >= low - 1e-6).all() and (out.images <= high + 1e-6).all()


def test_one_large_share_means_a_linear_mix():
    images = torch.rand(4, 3, *SIZE)
    out = mixed(policy_of(lam_margin=0.49), images, torch.randn(4, CHANNELS, 4, 3), seed=3)
    assert out.weights.max() > 0.51 and out.extra is None
    want = sum(s * images[rows] for rows, s in zip(out.index, out.weights[:, 0], strict=True))
    torch.testing.assert_close(out.images, want)


def test_maps_are_required():
    with pytest.raises(ValueError, match="feature maps"):
        mixed(policy_of(), torch.rand(2, 3, *SIZE), None)


def test_options_are_checked_with_the_configuration():
    assert PolicyConfig(name="adautomix", options={"parents": 2}).options == {"parents": 2}
    with pytest.raises(ValidationError, match="parent"):
        PolicyConfig(name="adautomix", options={"parent": 2})


BATCH = 4


def learner_of(**options):
    torch.manual_seed(1)
    backbone = build_backbone(BackboneConfig(channels=(4, 4, CHANNELS, 8)))
    policy = policy_of(**options)
    config = SupervisedConfig()
    classifier = Classifier(backbone, 3, head_names(config, policy), shared=False)
    training = AdversarialTraining(policy, MixerTrainingConfig())
    return Supervised(classifier, config, policy=policy, mixer_training=training)


def step(learner, number):
    images = torch.randn(BATCH, 3, 16, 16, generator=torch.Generator().manual_seed(number))
    images = images.to(torch.get_default_dtype())
    ctx = StepContext(seed=0, step=number, total_steps=10, epoch=0)
    batch = Labelled(images, torch.tensor([0, 1, 2, 1]), torch.arange(BATCH))
    return step_of(learner, batch, ctx), images, ctx


@pytest.mark.parametrize("cosine", ["similar", "as_released"])
@pytest.mark.parametrize("number", [2, 3])
def test_the_networks_loss_alternates(float64, monkeypatch, number, cosine):
    """-b CE -+ (1 - b) cos in even steps, CE in odd ones, through the momentum network; by loops."""
    learner = learner_of(cosine=cosine, balance=0.3)
    found = []
    real = learner.mixer_training.losses
    monkeypatch.setattr(
        learner.mixer_training, "losses", lambda *a: found.append((a, real(*a))) or found[-1][1]
    )
    _, images, ctx = step(learner, number)
    (inputs, *_), (loss, metrics) = found[0]
    shares = draw_shares(learner.policy.config, ctx.numpy_generator("policy"))
    scalars = ctx.numpy_generator("mixer")
    rows = [scalars.permutation(BATCH) for _ in shares]
    net = learner.momentum_classifier
    maps = torch.stack([inputs.plain.tap[row] for row in rows])
    masks = learner.policy.mixer(maps, torch.tensor(shares), (16, 16))
    pixels = sum(masks[k] * images[row] for k, row in enumerate(rows))
    logits = net.heads["mixed"](net.backbone(pixels).pooled)
    own = net.heads["mixed"](inputs.plain.pooled)
    ce = cos = 0.0
    for i in range(BATCH):
        for k, row in enumerate(rows):
            label = inputs.parents[0].targets[row[i]]
            ce += shares[k] * -(logits[i].softmax(0)[label].log()) / BATCH
            a, b = logits[i], own[row[i]]
            cos += shares[k] * (a @ b) / (a.norm() * b.norm()) / BATCH
    sign = -1 if cosine == "similar" else 1
    want = ce if number % 2 else -0.3 * ce + sign * 0.7 * cos
    torch.testing.assert_close(loss, want, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(metrics["mixer_similarity"], cos.detach(), atol=1e-6, rtol=1e-6)


def test_encoder_and_network_learn_apart():
    learner = learner_of()
    metrics, _, _ = step(learner, 1)
    assert plain_weight(learner.config, learner.policy) == 0.5
    metrics["loss"].backward()
    sets = learner.parameter_sets()
    assert set(sets) == {"encoder", "mixer"}
    for part in sets.values():
        for module in part.modules:
            assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    assert all(p.grad is None for p in learner.momentum_classifier.parameters())


def test_the_encoders_loss_is_the_sum_of_three(float64):
    """mixCE(x_m) + (1 - rho) CE(x) + rho mixCE(linear mix)."""
    learner = learner_of(rho=0.25)
    for parameter in learner.policy.mixer.parameters():
        parameter.requires_grad_(False)
    again = learner_of(rho=0.25)
    metrics, images, ctx = step(learner, 3)
    labels = torch.tensor([0, 1, 2, 1])
    maps = again.momentum_classifier(images).tap
    plain = again.classifier.heads["plain"](again.classifier(images).pooled).log_softmax(1)
    out = mixed(again.policy, images, maps, ctx.numpy_generator("policy"))

    def mix_ce(mixed_images):
        logs = again.classifier.heads["mixed"](again.classifier(mixed_images).pooled).log_softmax(1)
        return sum(
            share[i] * -logs[i, labels[rows[i]]] / BATCH
            for rows, share in zip(out.index, out.weights, strict=True)
            for i in range(BATCH)
        )

    want = (
        -plain.gather(1, labels[:, None]).mean() * 0.75
        + mix_ce(out.images)
        + 0.25 * mix_ce(out.extra[1].images)
    )
    got = metrics["loss"] - (metrics["mixer_global"])
    torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-6)
