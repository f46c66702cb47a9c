"""Frozen networks that policies use: the files they load, their input images, and that they do not change."""

import pytest
import timm
import torch

from helpers.tiny_supervised import learner_of
from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError, DataError
from samix.core.weights import save_weights
from samix.jobs.build import prefixed
from samix.jobs.self_supervised import about_backbone
from samix.mixup.teacher import FrozenNetwork, frozen_network
from samix.nn import build_backbone

TINY = BackboneConfig(channels=(4, 4, 6, 8))
CARD = {"mean": [0.1, 0.2, 0.3], "std": [0.3, 0.2, 0.4]}
GREY = ([0.5, 0.4, 0.3], [0.2, 0.3, 0.25])


def images(n=3, size=32):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def saved(path, heads=("plain", "mixed")):
    """A file as the supervised training leaves it, and its network."""
    classifier = learner_of("mixup", plain_weight=1.0).eval().classifier
    tensors = prefixed(classifier.backbone, "backbone.")
    for name in heads:
        tensors |= prefixed(classifier.heads[name], f"heads.{name}.")
    save_weights(path, tensors, about_backbone(TINY, [], CARD))
    return classifier


@pytest.mark.parametrize(
    ("heads", "taken"), [(("plain", "mixed"), "plain"), (("mixed",), "mixed"), (("plain",), "plain")]
)
def test_a_classifier_of_this_project(tmp_path, heads, taken):
    classifier = saved(tmp_path / "w.safetensors", heads)
    state = torch.random.get_rng_state()
    network = frozen_network("not read", str(tmp_path / "w.safetensors"))
    assert torch.equal(torch.random.get_rng_state(), state)
    want = classifier.heads[taken](classifier.backbone(images()).pooled)
    torch.testing.assert_close(network(images()), want)
    assert network.classes == want.shape[1]
    assert not torch.allclose(classifier.heads["plain"].weight, classifier.heads["mixed"].weight)


def test_images_are_normalised_as_the_files_were(tmp_path):
    classifier = saved(tmp_path / "w.safetensors")
    network = frozen_network("not read", str(tmp_path / "w.safetensors"), images_use=GREY)
    mean, std, knows_mean, knows_std = (
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (*GREY, CARD["mean"], CARD["std"])
    )
    shown = ((images().double() * std + mean - knows_mean) / knows_std).float()
    want = classifier.heads["plain"](classifier.backbone(shown).pooled)
    torch.testing.assert_close(network(images()), want, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(frozen_network("", str(tmp_path / "w.safetensors"))(images()), want, atol=1e-2)


def test_an_encoder_has_maps_and_no_classes(tmp_path):
    classifier = saved(tmp_path / "w.safetensors", heads=())
    network = frozen_network("not read", str(tmp_path / "w.safetensors"))
    assert network.classes == 0
    torch.testing.assert_close(network.last_map(images()), classifier.backbone.last_map(images()))


@pytest.mark.parametrize(("suffix", "size"), [("pth", 40), ("safetensors", None)])
def test_a_file_as_timm_publishes_it(tmp_path, suffix, size):
    from safetensors.torch import save_file

    torch.manual_seed(1)
    net = timm.create_model("test_resnet").eval()
    path = tmp_path / f"w.{suffix}"
    (torch.save if suffix == "pth" else save_file)(net.state_dict(), path)
    network = frozen_network("test_resnet", str(path), size=size, images_use=GREY)
    about = timm.get_pretrained_cfg("test_resnet")
    mean, std, knows_mean, knows_std = (
        torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in (*GREY, about.mean, about.std)
    )
    shown = ((images().double() * std + mean) - knows_mean) / knows_std
    shown = torch.nn.functional.interpolate(shown.float(), [size or 160] * 2, mode="bilinear")
    torch.testing.assert_close(network(images()), net(shown), atol=1e-4, rtol=1e-4)
    assert network.classes == net.num_classes


def test_it_is_frozen_and_lets_gradient_through(tmp_path):
    network = FrozenNetwork(build_backbone(TINY).net, torch.nn.Linear(8, 4))
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    x = images().requires_grad_()
    network(x)[:, 1].sum().backward()
    assert x.grad.abs().sum() > 0


def test_refusals(tmp_path):
    with pytest.raises(DataError, match="no file"):
        frozen_network("resnet18", str(tmp_path / "nowhere.pth"))
    with pytest.raises(ConfigError, match="timm has no model 'no_net'"):
        frozen_network("no_net", "timm")
    with pytest.raises(ConfigError, match="timm has no model 'wrn28_8'"):
        frozen_network("wrn28_8", "timm")
    save_weights(tmp_path / "w.safetensors", {"head.weight": torch.zeros(1)}, {"kind": "linear"})
    with pytest.raises(DataError, match="'linear'.*holds no backbone"):
        frozen_network("resnet18", str(tmp_path / "w.safetensors"))
    torch.save({"other": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"none of test_resnet in .*w\.pth"):
        frozen_network("test_resnet", str(tmp_path / "w.pth"))
