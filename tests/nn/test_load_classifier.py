"""A classifier read back from the file that its training has left."""

import pytest
import torch

from samix.config.networks import BackboneConfig
from samix.core.errors import DataError
from samix.core.weights import save_weights
from samix.jobs.self_supervised import about_backbone
from samix.nn import Classifier, build_backbone, load_classifier

TINY = BackboneConfig(channels=(4, 4, 6, 8))
CARD = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}


def saved(path, **more):
    torch.manual_seed(0)
    classifier = Classifier(build_backbone(TINY), 5, ["plain", "mixed"], shared=False).eval()
    tensors = {f"backbone.{key}": value for key, value in classifier.backbone.state_dict().items()}
    tensors |= {f"heads.{key}": value for key, value in classifier.heads.state_dict().items()}
    save_weights(path, tensors, {**about_backbone(TINY, [], CARD), **more})
    return classifier


def test_logits_are_the_same(tmp_path):
    classifier = saved(tmp_path / "c.safetensors", headline="val_top1_mixed_q")
    found, statistics = load_classifier(tmp_path / "c.safetensors")
    images = torch.randn(2, 3, 32, 32)
    features = found.eval()(images)
    for name in ("plain", "mixed"):
        want = classifier.logits(classifier(images), name)
        torch.testing.assert_close(found.logits(features, name), want)
    assert found.names == ["plain", "mixed"] and statistics == (CARD["mean"], CARD["std"])


def test_another_file_is_told(tmp_path):
    saved(tmp_path / "encoder.safetensors")
    with pytest.raises(DataError, match=r"encoder\.safetensors is not a classifier of the stage sl_training"):
        load_classifier(tmp_path / "encoder.safetensors")
