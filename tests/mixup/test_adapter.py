"""Information on the images, the pass of mixed ones, and sizes inside the network: by hand, in float64."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup import (
    FeatureMix,
    FMix,
    ImageInfo,
    Mixed,
    Mixup,
    ModelOutputs,
    Policy,
    draw_ratio,
    mixed_term,
)
from samix.mixup.adapter import Adapter, capabilities_of, check_policy
from samix.mixup.table import example
from samix.nn import Classifier, build_backbone
from samix.objectives import ClassObjective, MixedCE

CNN = BackboneConfig(channels=(4, 4, 6, 8))
VIT = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
LABELS = torch.tensor([0, 2, 1])
OBJECTIVE = ClassObjective()
MIXED = "mixed"


def classifier_of(backbone=CNN):
    torch.manual_seed(0)
    network = Classifier(build_backbone(backbone), 3, [MIXED], shared=False)
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return network.train()


def images_of(n=3, size=32):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(n, 3, size, size, generator=generator, dtype=torch.get_default_dtype())


def adapter_of(network):
    return Adapter(network, lambda features: network.logits(features, MIXED), network.head(MIXED))


class Demanding(Policy):
    """A policy with the given requirements, which weighs the first parents by 0.25 after the pass."""

    cost = "saliency"

    def __init__(self, **requirements):
        super().__init__()
        for name, requirement in requirements.items():
            setattr(self, name, requirement)
        self.outputs = []

    def draw(self, rng, lam, shape):
        raise AssertionError("nothing is drawn during the pass")

    def forward(self, images, others, pairing, draws, info):
        raise AssertionError("the images are mixed already")

    def reweight(self, mixed, outputs):
        self.outputs.append(outputs)
        return torch.tensor([0.25, 0.75])[:, None].expand(2, len(mixed.images))


def info_on(network, requirement):
    loss = lambda logits: OBJECTIVE.point_loss(logits, LABELS)  # noqa: E731
    policy = Demanding(requires=frozenset({requirement}))
    return adapter_of(network).info_for(policy, images_of(), ImageInfo(labels=LABELS), loss)


def mixed_of(images, index=(0, 1, 2), **fields):
    """Images that count as mixed with weights 0.9 and 0.1."""
    rows = torch.stack([torch.arange(3), torch.tensor(index)])
    return Mixed(images, rows, torch.tensor([[0.9] * 3, [0.1] * 3]), **fields)


def test_saliency_is_the_slope_of_the_loss(float64):
    """Central differences at some pixels, network in evaluation mode."""
    network = classifier_of()
    before = copy.deepcopy(network.state_dict())
    got = info_on(network, "saliency").saliency
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
    got = info_on(network, "feature_saliency").feature_saliency
    network.eval()
    images = images_of().requires_grad_()
    pooled = network.backbone(images).pooled
    length = (pooled**2).sum(1).sqrt().sum()
    (slope,) = torch.autograd.grad(length, images)
    torch.testing.assert_close(got[:, 0], (slope**2).mean(1).sqrt())


def test_class_maps_average_to_the_logit(float64):
    """ReLU's output is pooled by a mean: the map of the class has the class's logit as its mean."""
    network = classifier_of()
    cam = info_on(network, "cam").cam
    network.eval()
    logits = network.heads[MIXED](network.backbone(images_of()).pooled)
    torch.testing.assert_close(cam.mean((1, 2, 3)), logits[range(3), LABELS])


def test_attention_of_clean_images():
    network = classifier_of(VIT)
    got = info_on(network, "attention").attention
    assert got.shape == (3, 1, 2, 2) and (got > 0).all() and (got.sum((1, 2, 3)) < 1).all()


def test_what_was_known_stays():
    info = info_on(classifier_of(), "saliency")
    assert info.labels is LABELS and info.maps is None and info.cam is None
    known = ImageInfo(labels=LABELS)
    assert adapter_of(classifier_of()).info_for(Mixup(), images_of(), known, None) is known


def test_features_are_mixed_inside_and_labels_weighed_after(float64):
    network, index = classifier_of(), (2, 0, 1)
    policy = Demanding(mixes_features="features", requires_outputs=frozenset({"logits"}))
    features = FeatureMix(1, lambda h, other: 0.25 * h + 0.75 * other)
    mixed = mixed_of(images_of(), index, features=features, final=False)
    again = copy.deepcopy(network)
    outputs, found = adapter_of(network).forward_mixed(policy, mixed)
    (known,) = policy.outputs
    net = again.backbone.net
    h = net.layer1(net.maxpool(net.act1(net.bn1(net.conv1(images_of())))))
    h = 0.25 * h + 0.75 * h[list(index)]
    want = again.heads[MIXED](net.layer4(net.layer3(net.layer2(h))).mean((2, 3)))
    torch.testing.assert_close(outputs, want)
    assert found.final and found.weights.tolist() == [[0.25] * 3, [0.75] * 3]
    assert found.images is mixed.images and found.index is mixed.index and found.features is features
    assert not known.logits.requires_grad and known.attention is None and known.attentions is None
    torch.testing.assert_close(known.logits, want)
    # the change was for one pass
    torch.testing.assert_close(network.backbone(images_of()).pooled, again.backbone(images_of()).pooled)


@pytest.mark.parametrize("output", ["attention", "attentions"])
def test_attention_of_the_mixed_images(output):
    network = classifier_of(VIT)
    policy = Demanding(requires_outputs=frozenset({output}))
    outputs, found = adapter_of(network).forward_mixed(policy, mixed_of(images_of(), final=False))
    (known,) = policy.outputs
    assert outputs.requires_grad and found.weights.tolist() == [[0.25] * 3, [0.75] * 3]
    assert known.attention.shape == (3, 1, 2, 2) and known.logits is None
    assert len(known.attentions) == (6 if output == "attentions" else 1)
    for matrix in known.attentions:
        assert matrix.shape == (3, 5, 5) and not matrix.requires_grad
        torch.testing.assert_close(matrix.sum(2), torch.ones(3, 5))
    torch.testing.assert_close(known.attention.flatten(), known.attentions[-1][:, 0, 1:].flatten())


def test_final_weights_stay():
    policy, mixed = Demanding(), mixed_of(images_of())
    assert adapter_of(classifier_of()).forward_mixed(policy, mixed)[1] is mixed and not policy.outputs


def test_sizes_inside_a_convolutional_network():
    """Sizes after the stem and each stage, as the features of a pass have them; only if maps are mixed."""
    network = classifier_of()
    before = copy.deepcopy(network.state_dict())
    shape = adapter_of(network).shape(example("patchup"), 5, 48, 32)
    sizes = []
    for stage in range(5):
        with network.backbone.altering(stage, lambda h: sizes.append(tuple(h.shape[1:])) or h):
            network.eval().backbone(torch.randn(1, 3, 48, 32))
    assert shape == BatchShape(5, 48, 32, None, tuple(sizes))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    for policy in (None, Mixup(), example("manifoldmix")):
        assert adapter_of(network).shape(policy, 5, 48, 32) == BatchShape(5, 48, 32)


def test_sizes_inside_a_transformer():
    adapter = adapter_of(classifier_of(VIT))
    assert adapter.shape(example("tokenmix"), 3, 32, 32) == BatchShape(3, 32, 32, (2, 2))
    assert adapter.shape(None, 3, 32, 32).grid == (2, 2)


def test_the_loss_of_several_parents():
    logits, targets = torch.randn(3, 4), torch.tensor([0, 3, 1])
    index, shares = torch.tensor([[0, 1, 2], [2, 0, 1]]), torch.tensor([[0.2, 1.0, 0.5], [0.8, 0.0, 0.5]])
    mixed = Mixed(torch.zeros(3, 3, 2, 2), index, shares, own_first=False)
    got = mixed_term(MixedCE(OBJECTIVE), logits, mixed, targets, targets)
    logs = logits.log_softmax(1)
    want = -sum(shares[k, i] * logs[i, targets[index[k, i]]] for k in range(2) for i in range(3)) / 3
    torch.testing.assert_close(got, want)


def test_lam_one_per_batch_or_one_per_sample():
    one = draw_ratio(2.0, 4, np.random.default_rng(0), per_sample=False)
    several = draw_ratio(2.0, 4, np.random.default_rng(0), per_sample=True)
    assert isinstance(one, float) and several.shape == (4,) and several[0] == one
    capabilities = capabilities_of(classifier_of().backbone, labels=True, classes=False)
    check_policy(Mixup(), capabilities, lam_per_sample=True)
    with pytest.raises(ConfigError, match=r"policy\.lam: policy fmix"):
        check_policy(FMix(), capabilities, lam_per_sample=True)


def test_outputs_default_to_nothing():
    assert ModelOutputs() == (None, None, None)
