"""Mixing in a loop of one's own, and the page that shows it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.core.weights import save_weights
from samix.mixup import Mixed, Mixer, Mixup, Policy, RandomChoice, mix_batch
from samix.mixup.policies.samix_p import bundle_metadata, bundle_tensors
from samix.nn import Classifier, build_backbone

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "samix_p.md"


def test_same_generator_same_batch_and_nobody_meets_itself():
    images = torch.randn(6, 3, 8, 8)
    one, two, other = (mix_batch(Mixup(), images, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.images, two.images) and not torch.equal(one.images, other.images)
    assert not (one.pairing.index == torch.arange(6)).any()
    lam, index = one.mixed.lam, one.pairing.index
    torch.testing.assert_close(one.images, lam * images + (1 - lam) * images[index])


class TwoWeights(Policy):
    """Labels whose weights differ from image to image and do not add up to 1."""

    def forward(self, first, second, lam, *, generator, guides):
        return Mixed(first, torch.tensor([0.2, 0.5, 1.0]), None, torch.tensor([0.3, 0.0, 0.9]))


@pytest.mark.parametrize("policy", [Mixup(), TwoWeights()], ids=["one number", "two weights a sample"])
def test_loss_weighs_each_sample(policy):
    labels, logits = torch.tensor([0, 2, 1]), torch.randn(3, 4)
    batch = mix_batch(policy, torch.randn(3, 3, 4, 4), np.random.default_rng(0))
    first = np.broadcast_to(batch.mixed.lam, 3)
    second = 1 - first if batch.mixed.lam_second is None else batch.mixed.lam_second.numpy()
    logs = logits.double().log_softmax(1)
    want = 0.0
    for i, j in enumerate(batch.pairing.index.tolist()):
        want -= (first[i] * logs[i, labels[i]] + second[i] * logs[i, labels[j]]) / 3
    torch.testing.assert_close(batch.loss(logits, labels).double(), want, atol=1e-6, rtol=1e-6)


def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    """The ten lines of docs/samix_p.md, on a bundle where they look for it."""
    torch.manual_seed(0)
    config = BackboneConfig(channels=(4, 4, 6, 8))
    backbone = build_backbone(config)
    mixer = Mixer(backbone.tap_channels, MixerConfig())
    statistics = ([0.5] * 3, [0.25] * 3)
    about = bundle_metadata(config, mixer.config, MaskAdjustConfig(), statistics)
    path = tmp_path / "data/06_models/mixer_pretraining_sl/bundle.safetensors"
    save_weights(path, bundle_tensors(backbone, mixer), about)
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
    lam, partners = batch.mixed.lam, batch.pairing.of(labels)
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
    assert mix_batch(Mixup(), images, np.random.default_rng(0), lam=0.3).mixed.lam == 0.3
    lams = np.array([0.0, 0.2, 0.7, 1.0])
    batch = mix_batch(Mixup(), images, np.random.default_rng(0), lam=lams)
    torch.testing.assert_close(batch.mixed.lam.double(), torch.from_numpy(lams))
    assert torch.equal(batch.images[3], images[3])


class Flipped(Mixup):
    """Mixup with a rule for its pairs."""

    def partners(self, seen, n, device):
        return torch.arange(n, device=device).flip(0)


def test_a_policys_own_rule_pairs():
    batch = mix_batch(Flipped(), torch.randn(4, 3, 8, 8), np.random.default_rng(0))
    assert batch.pairing.index.tolist() == [3, 2, 1, 0] and not batch.pairing.everywhere
    chosen = mix_batch(RandomChoice([Flipped()], [None]), torch.randn(4, 3, 8, 8), np.random.default_rng(0))
    assert chosen.pairing.index.tolist() == [3, 2, 1, 0]
