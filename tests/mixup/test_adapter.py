"""What hosts tell a policy of the images, and what becomes of what it makes: by hand, in float64."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.learners.supervised import MIXED, host_of
from samix.mixup import FMix, Inside, Mixed, Mixup, ModelOutputs, Pairing, Parents, Policy, ImageInfo, mixed_term
from samix.mixup.adapter import check_policy, draw_ratio, offer_of
from samix.nn import Classifier, build_backbone
from samix.objectives import ClassObjective, MixedCE

CNN = BackboneConfig(channels=(4, 4, 6, 8))
VIT = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
LABELS = torch.tensor([0, 2, 1])
OBJECTIVE = ClassObjective()


def classifier_of(backbone=CNN):
    torch.manual_seed(0)
    network = Classifier(build_backbone(backbone), 3, [MIXED], shared=False)
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network.train()


def images_of(n=3, size=32):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n, 3, size, size, generator=generator, dtype=torch.get_default_dtype())


class Asks(Policy):
    """A policy with the given wishes."""

    cost = "L"

    def __init__(self, **wishes):
        super().__init__()
        for name, wish in wishes.items():
            setattr(self, name, wish)

    def forward(self, first, second, lam, *, generator, guides):
        return self.made(first, second, lam, guides)


def look(network, need):
    loss = lambda logits: OBJECTIVE.point_loss(logits, LABELS)  # noqa: E731
    return host_of(network).look(Asks(needs=frozenset({need})), images_of(), ImageInfo(labels=LABELS), loss)


def test_saliency_is_the_slope_of_the_loss(float64):
    """Central differences at some pixels, network in evaluation mode."""
    network = classifier_of()
    before = copy.deepcopy(network.state_dict())
    got = look(network, "saliency").saliency
    assert got.shape == (3, 1, 32, 32) and not got.requires_grad
    assert network.training and all(p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network.eval()

    def loss(images, row):
        logits = network.heads[MIXED](network.backbone(images).pooled)
        return F.cross_entropy(logits[row : row + 1], LABELS[row : row + 1]).item()

    for row, y, x in [(0, 3, 4), (1, 20, 31), (2, 15, 0)]:
        slopes = []
        for channel in range(3):
            values = []
            for step in (1e-5, -1e-5):
                images = images_of()
                images[row, channel, y, x] += step
                values.append(loss(images, row))
            slopes.append((values[0] - values[1]) / 2e-5)
        assert got[row, 0, y, x].item() == pytest.approx(
            np.sqrt(np.mean(np.square(slopes))), rel=1e-4, abs=1e-9
        )


def test_feature_saliency_knows_no_labels(float64):
    network = classifier_of()
    got = look(network, "feature_saliency").feature_saliency
    network.eval()
    images = images_of().requires_grad_()
    pooled = network.backbone(images).pooled
    length = (pooled**2).sum(1).sqrt().sum()
    (slope,) = torch.autograd.grad(length, images)
    torch.testing.assert_close(got[:, 0], (slope**2).mean(1).sqrt())


def test_class_maps_average_to_the_logit(float64):
    """ReLU's output is pooled by a mean: the map of the class has the class's logit as its mean."""
    network = classifier_of()
    cam = look(network, "cam").cam
    network.eval()
    logits = network.heads[MIXED](network.backbone(images_of()).pooled)
    torch.testing.assert_close(cam.mean((1, 2, 3)), logits[range(3), LABELS])


def test_attention_of_clean_images():
    network = classifier_of(VIT)
    got = look(network, "attention").attention
    assert got.shape == (3, 1, 2, 2) and (got > 0).all() and (got.sum((1, 2, 3)) < 1).all()


def test_what_was_known_stays():
    seen = look(classifier_of(), "saliency")
    assert seen.labels is LABELS and seen.maps is None and seen.cam is None


def test_features_are_mixed_inside_and_labels_weighed_after(float64):
    network = classifier_of()
    told = []

    def make(first, second, lam, guides):
        def relabel(outcome):
            told.append(outcome)
            return Mixed(first, 0.25)

        return Mixed(first, lam, inside=Inside(1, lambda h, other: 0.25 * h + 0.75 * other), relabel=relabel)

    policy = Asks(inside="features", after=frozenset({"logits"}), made=make)
    pairing = Pairing(torch.tensor([2, 0, 1]), everywhere=False)
    mixed = make(images_of(), None, 0.9, None)
    again = copy.deepcopy(network)
    outputs, found = host_of(network).run(policy, mixed, pairing)
    net = again.backbone.net
    h = net.layer1(net.maxpool(net.act1(net.bn1(net.conv1(images_of())))))
    h = 0.25 * h + 0.75 * h[pairing.index]
    want = again.heads[MIXED](net.layer4(net.layer3(net.layer2(h))).mean((2, 3)))
    torch.testing.assert_close(outputs, want)
    assert found.lam == 0.25 and not told[0].logits.requires_grad
    torch.testing.assert_close(told[0].logits, want)
    assert told[0].attention is None
    # the change was for one pass
    torch.testing.assert_close(network.backbone(images_of()).pooled, again.backbone(images_of()).pooled)


@pytest.mark.parametrize("answer", ["attention", "attentions"])
def test_attention_of_the_mixed_images(answer):
    network = classifier_of(VIT)
    policy = Asks(after=frozenset({answer}))
    told = []
    mixed = Mixed(images_of(), 0.5, relabel=lambda outcome: told.append(outcome) or Mixed(images_of(), 0.1))
    outputs, found = host_of(network).run(policy, mixed, Pairing(torch.arange(3)))
    assert outputs.requires_grad and found.lam == 0.1
    assert told[0].attention.shape == (3, 1, 2, 2)
    assert len(told[0].attentions) == (6 if answer == "attentions" else 1)
    for matrix in told[0].attentions:
        assert matrix.shape == (3, 5, 5) and not matrix.requires_grad
        torch.testing.assert_close(matrix.sum(2), torch.ones(3, 5))
    torch.testing.assert_close(told[0].attention.flatten(), told[0].attentions[-1][:, 0, 1:].flatten())


def test_the_loss_of_several_parents():
    logits, targets = torch.randn(3, 4), torch.tensor([0, 3, 1])
    index, shares = torch.tensor([[0, 1, 2], [2, 0, 1]]), torch.tensor([[0.2, 1.0, 0.5], [0.8, 0.0, 0.5]])
    mixed = Mixed(torch.zeros(3, 3, 2, 2), 0.5, parents=Parents(index, shares))
    pairing = Pairing(torch.arange(3), everywhere=False)
    got = mixed_term(MixedCE(OBJECTIVE), logits, mixed, (targets, targets), pairing)
    logs = logits.log_softmax(1)
    want = -sum(shares[k, i] * logs[i, targets[index[k, i]]] for k in range(2) for i in range(3)) / 3
    torch.testing.assert_close(got, want)


def test_lam_one_a_batch_or_one_a_sample():
    one = draw_ratio(2.0, 4, np.random.default_rng(0), per_sample=False)
    several = draw_ratio(2.0, 4, np.random.default_rng(0), per_sample=True)
    assert isinstance(one, float) and several.shape == (4,) and several[0] == one
    offer = offer_of(classifier_of().backbone, labels=True, classes=False)
    check_policy(Mixup(), offer, lam_per_sample=True)
    with pytest.raises(ConfigError, match=r"policy\.lam: policy fmix"):
        check_policy(FMix(), offer, lam_per_sample=True)


def test_outcomes_default_to_nothing():
    assert ModelOutputs() == (None, None, None)
