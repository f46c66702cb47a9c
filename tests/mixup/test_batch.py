"""Mixing in a user's own loop, and the page that documents it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.mixing import float32, lam_of
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.core.weights import save_weights
from samix.mixup import Mixer, Mixup, PatchUp, Policy, RandomChoice, TransMix, mix_batch
from samix.mixup.adapter import Adapter
from samix.mixup.policies.samix_p import pretrained_mixer_metadata, pretrained_mixer_tensors
from samix.mixup.policy import two_parents
from samix.nn import Classifier, build_backbone

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "samix_p.md"


def test_same_generator_same_batch_and_nobody_meets_itself():
    images = torch.randn(6, 3, 8, 8)
    one, two, other = (mix_batch(Mixup(), images, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.images, two.images) and not torch.equal(one.images, other.images)
    lam, index = lam_of(one.mixed), one.mixed.index[1]
    assert sorted(index.tolist()) == list(range(6)) and not (index == torch.arange(6)).any()
    assert one.mixed.index[0].tolist() == list(range(6)) and not one.mixed.everywhere
    torch.testing.assert_close(one.images, lam * images + (1 - lam) * images[index])


class TwoWeights(Policy):
    """Labels whose weights differ from image to image and do not add up to 1."""

    def draw(self, rng, lam, shape):
        return torch.tensor([[0.2, 0.5, 1.0], [0.3, 0.0, 0.9]])

    def forward(self, images, others, pairing, draws, info):
        return two_parents(images, pairing, draws)


@pytest.mark.parametrize("policy", [Mixup(), TwoWeights()], ids=["one number", "two weights per sample"])
def test_loss_weighs_each_sample(policy):
    labels, logits = torch.tensor([0, 2, 1]), torch.randn(3, 4)
    batch = mix_batch(policy, torch.randn(3, 3, 4, 4), np.random.default_rng(0))
    first, second = batch.mixed.weights.tolist()
    logs = logits.double().log_softmax(1)
    want = 0.0
    for i, j in enumerate(batch.mixed.index[1].tolist()):
        want -= (first[i] * logs[i, labels[i]] + second[i] * logs[i, labels[j]]) / 3
    torch.testing.assert_close(batch.loss(logits, labels).double(), want, atol=1e-6, rtol=1e-6)


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    """The ten lines of docs/samix_p.md, with a pretrained Mixer at the path that they load."""
    torch.manual_seed(0)
    config = BackboneConfig(channels=(4, 4, 6, 8))
    backbone = build_backbone(config)
    mixer = Mixer(backbone.tap_channels, MixerConfig())
    statistics = ([0.5] * 3, [0.25] * 3)
    about = pretrained_mixer_metadata(config, mixer.config, MaskAdjustConfig(), statistics)
    path = tmp_path / "data/06_models/mixer_pretraining_sl/mixer.safetensors"
    save_weights(path, pretrained_mixer_tensors(backbone, mixer), about)
    monkeypatch.chdir(tmp_path)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
    before = network[1].weight.clone()
    names = {
        "mean": [0.4] * 3,
        "std": [0.2] * 3,
        "device": "cpu",
        "loader": [(torch.randn(5, 3, 16, 16), torch.randint(4, (5,))) for _ in range(2)],
        "network": network,
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.1),
    }
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    exec(code, names)
    assert names["loss"].isfinite() and not torch.equal(network[1].weight, before)
    assert names["batch"].mixed.mask.shape == (5, 1, 16, 16)


def test_the_page_is_cross_entropy():
    logits, labels = torch.randn(4, 5), torch.tensor([3, 0, 1, 3])
    batch = mix_batch(Mixup(), torch.randn(4, 3, 4, 4), np.random.default_rng(1), alpha=2.0)
    lam, partners = lam_of(batch.mixed), labels[batch.mixed.index[1]]
    want = lam * F.cross_entropy(logits, labels) + (1 - lam) * F.cross_entropy(logits, partners)
    torch.testing.assert_close(batch.loss(logits, labels), want)


def test_the_page_of_all_policies_runs_as_it_stands():
    torch.manual_seed(0)
    classifier = Classifier(build_backbone(BackboneConfig(channels=(4, 4, 6, 8))), 3, ["mixed"], shared=False)
    names = {
        "images": torch.randn(4, 3, 32, 32),
        "labels": torch.tensor([0, 1, 2, 1]),
        "classifier": classifier,
    }
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "policies.md").read_text(), re.S)
    assert len(blocks) == 2
    for code in blocks:
        exec(code, names)
        classifier.zero_grad()
        names["loss"].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in classifier.parameters())


def test_a_given_lam_takes_the_place_of_the_drawn_one():
    images = torch.randn(4, 3, 8, 8)
    assert lam_of(mix_batch(Mixup(), images, np.random.default_rng(0), lam=0.3).mixed) == float32(0.3)
    lams = np.array([0.0, 0.2, 0.7, 1.0])
    batch = mix_batch(Mixup(), images, np.random.default_rng(0), lam=lams)
    torch.testing.assert_close(batch.mixed.weights, torch.from_numpy(np.stack([lams, 1 - lams])).float())
    assert torch.equal(batch.images[3], images[3])


class Flipped(Mixup):
    """Mixup with a rule for its pairs."""

    chooses_partners = True

    def choose_partners(self, info, n, device):
        return torch.arange(n, device=device).flip(0)


def test_a_policys_own_rule_pairs():
    batch = mix_batch(Flipped(), torch.randn(4, 3, 8, 8), np.random.default_rng(0))
    assert batch.mixed.index.tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]] and not batch.mixed.everywhere
    chosen = mix_batch(RandomChoice([Flipped()], [None]), torch.randn(4, 3, 8, 8), np.random.default_rng(0))
    assert chosen.mixed.index.tolist() == [[0, 1, 2, 3], [3, 2, 1, 0]]


def test_a_choice_is_reweighted_by_the_policy_of_the_batch():
    torch.manual_seed(0)
    config = BackboneConfig(name="test_vit", stem="imagenet", image_size=32, tap=2)
    classifier = Classifier(build_backbone(config), 3, ["mixed"], shared=False)
    adapter = Adapter(classifier, lambda features: classifier.logits(features, "mixed"))
    member, images = TransMix(0.0), torch.randn(4, 3, 32, 32)
    policy = RandomChoice([member], [None])
    batch = mix_batch(policy, images, np.random.default_rng(0), lam=0.5)
    assert batch.policy is member and not batch.mixed.final
    _, mixed = adapter.forward_mixed(batch.policy, batch.mixed)
    assert mixed.final and not torch.equal(mixed.weights, batch.mixed.weights)
    with pytest.raises(NotImplementedError, match=r"MixedBatch\.policy"):
        adapter.forward_mixed(policy, batch.mixed)


def test_a_single_image_cannot_be_mixed():
    with pytest.raises(ValueError, match="at least two images"):
        mix_batch(Mixup(), torch.randn(1, 3, 8, 8), np.random.default_rng(0))


def test_sizes_inside_the_network():
    """PatchUp's mask has the shape of the features, and the loss its share."""
    torch.manual_seed(0)
    classifier = Classifier(build_backbone(BackboneConfig(channels=(4, 4, 6, 8))), 3, ["mixed"], shared=False)
    adapter = Adapter(classifier, lambda features: classifier.logits(features, "mixed"))
    images, policy = torch.randn(4, 3, 32, 32), PatchUp()
    shape, stages = adapter.shape(policy, 4, 32, 32), set()
    for seed in range(12):
        mixed = mix_batch(policy, images, np.random.default_rng(seed), shape=shape).mixed
        stages.add(None if mixed.features is None else mixed.features.stage)
        assert adapter.forward_mixed(policy, mixed)[0].isfinite().all()
    assert stages == {None, 0, 1}
    with pytest.raises(ValueError, match="PatchUp requires the shapes of the network's features"):
        mix_batch(policy, images, np.random.default_rng(0))
