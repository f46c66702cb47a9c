"""Manifold Mixup: the stages at which it mixes, and the network's outputs for mixed features."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from helpers.mixing import float32, lam_of, mixed_batch
from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.mixup import ManifoldMix, RandomChoice
from samix.mixup.adapter import Adapter
from samix.nn import Classifier, build_backbone


def test_each_stage_comes_up_equally_often():
    images = torch.rand(2, 3, 4, 4)
    drawn = Counter(
        0 if out.features is None else out.features.stage
        for out in (mixed_batch(ManifoldMix((0, 1, 3)), images, 0.3, seed) for seed in range(900))
    )
    assert set(drawn) == {0, 1, 3} and stats.chisquare(list(drawn.values())).pvalue > 1e-4


def test_stage_zero_is_mixup():
    images = torch.rand(3, 3, 5, 7)
    out = mixed_batch(ManifoldMix((0,)), images, 0.3)
    want = 0.3 * images.double() + 0.7 * images.double().roll(1, 0)
    torch.testing.assert_close(out.images.double(), want, atol=1e-6, rtol=0)
    assert lam_of(out) == float32(0.3) and out.mask is None and out.features is None and out.final


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0, np.array([0.0, 0.3, 1.0])], ids=["0", "some", "1", "each"])
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (3, 7, 6)], ids=["maps", "tokens"])
def test_features_are_mixed_by_lam(lam, shape):
    images = torch.rand(3, 3, 4, 4)
    out = mixed_batch(ManifoldMix((2,)), images, lam)
    assert torch.equal(out.images, images) and out.features.stage == 2
    own, partner = torch.randn(2, *shape, dtype=torch.float64)
    kept = own.clone(), partner.clone()
    found = out.features.blend(own, partner)
    for n, share in enumerate(np.broadcast_to(lam, 3)):
        torch.testing.assert_close(found[n], share * own[n] + (1 - share) * partner[n], atol=1e-6, rtol=0)
    assert torch.equal(own, kept[0]) and torch.equal(partner, kept[1])
    assert out.features.blend(own.bfloat16(), partner.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("lam", [0.3, np.array([0.1, 0.5, 1.0])], ids=["one", "each"])
def test_the_network_goes_on_with_mixed_features(lam):
    """Stage by stage by hand; in evaluation mode the later stages see nothing else of the batch."""
    torch.manual_seed(0)
    classifier = Classifier(build_backbone(BackboneConfig(channels=(4, 4, 6, 8))), 3, ["mixed"], shared=False)
    classifier.eval()
    net, images, index = classifier.backbone.net, torch.randn(3, 3, 32, 32), torch.tensor([2, 0, 1])
    out = mixed_batch(ManifoldMix((2,)), images, lam, index=index)
    adapter = Adapter(classifier, lambda features: classifier.logits(features, "mixed"))
    found, final = adapter.forward_mixed(ManifoldMix((2,)), out)
    assert final is out
    h = net.maxpool(net.act1(net.bn1(net.conv1(images))))
    h = net.layer2(net.layer1(h))
    share = torch.as_tensor(lam, dtype=torch.float32).expand(3).view(3, 1, 1, 1)
    h = net.layer4(net.layer3(share * h + (1 - share) * h[index]))
    want = F.linear(h.mean((2, 3)), classifier.head("mixed").weight, classifier.head("mixed").bias)
    torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-4)


def test_gradients_reach_both_parents():
    own, partner = torch.rand(2, 1, 2, 2, 2).requires_grad_(), torch.rand(2, 1, 2, 2, 2)[0].requires_grad_()
    out = mixed_batch(ManifoldMix((1,)), torch.rand(1, 3, 4, 4), 0.3)
    found = torch.autograd.grad(out.features.blend(own[0], partner).sum(), (own, partner))
    torch.testing.assert_close(found[0][0], torch.full((1, 2, 2, 2), 0.3))
    torch.testing.assert_close(found[1], torch.full((1, 2, 2, 2), 0.7))


@pytest.mark.parametrize("stages", [(), (0, -1)])
def test_no_such_stages(stages):
    with pytest.raises(ConfigError, match="stages"):
        ManifoldMix(stages)


def test_a_choice_that_may_mix_features_says_so():
    assert RandomChoice(("mixup", "manifoldmix"), (None, None)).mixes_features == "features"
