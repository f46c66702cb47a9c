"""Backbone with heads."""

import copy

import pytest
import torch

from samix.config.networks import BackboneConfig
from samix.nn import Classifier, build_backbone

BACKBONE = BackboneConfig(channels=(4, 4, 6, 8))


def classifier_of(names=("plain", "mixed"), shared=False, channels=(4, 4, 6, 8), classes=5):
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(channels=channels))
    return Classifier(backbone, classes, list(names), shared=shared)


def test_logits_are_those_of_the_named_head(float64):
    classifier = classifier_of().eval()
    features = classifier(torch.randn(3, 3, 16, 16))
    for name in ("plain", "mixed"):
        head = classifier.heads[name]
        for n in range(3):
            want = [
                (row * features.pooled[n]).sum() + b for row, b in zip(head.weight, head.bias, strict=True)
            ]
            torch.testing.assert_close(classifier.logits(features, name)[n], torch.stack(want))
    assert not torch.equal(classifier.logits(features, "plain"), classifier.logits(features, "mixed"))


@pytest.mark.parametrize("names", [("plain", "mixed"), ("mixed",)])
def test_a_shared_head_answers_to_all_names(names):
    classifier = classifier_of(names, shared=True)
    assert len(classifier.heads) == 1
    features = classifier(torch.randn(3, 3, 16, 16))
    logits = [classifier.logits(features, name) for name in names]
    assert all(torch.equal(logits[0], other) for other in logits)


def test_a_head_that_is_not_there():
    classifier = classifier_of(("mixed",))
    with pytest.raises(KeyError, match="plain"):
        classifier.logits(classifier(torch.randn(2, 3, 16, 16)), "plain")


def test_heads_start_small():
    classifier = classifier_of(channels=(4, 4, 6, 512), classes=100)
    for head in classifier.heads.values():
        assert head.weight.std().item() == pytest.approx(0.01, rel=0.05) and not head.bias.any()
    assert not torch.equal(*(head.weight for head in classifier.heads.values()))


def test_a_copy_has_its_own_heads():
    classifier = classifier_of()
    twin = copy.deepcopy(classifier)
    classifier.heads["mixed"].weight.data.fill_(1)
    assert not (twin.heads["mixed"].weight == 1).any()
