"""timm's own weights: from a file, and the errors if they are not available."""

import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from samix.config.networks import BackboneConfig
from samix.core.errors import DataError
from samix.nn import build_backbone, load_pretrained

CLASSES = 1000


def published(name, folder, suffix=".pth", classes=CLASSES):
    """A file as timm publishes them, and its tensors."""
    state = timm.create_model(name, num_classes=classes).state_dict()
    path = folder / f"weights{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    return path, state


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", ["resnet18", "resnet18.tv_in1k"])
def test_file(name, suffix, tmp_path):
    path, state = published("resnet18", tmp_path, suffix)
    config = BackboneConfig(name=name, stem="imagenet", pretrained=True, pretrained_file=path)
    backbone = build_backbone(config)
    assert not torch.equal(backbone.net.conv1.weight, state["conv1.weight"])  # building reads no file
    torch.manual_seed(3)
    load_pretrained(backbone, config)
    drawn = torch.rand(1)
    loaded = backbone.net.state_dict()
    assert loaded.keys() == state.keys() - {"fc.weight", "fc.bias"}
    for key, tensor in loaded.items():
        torch.testing.assert_close(tensor, state[key])
    assert torch.equal(drawn, torch.rand(1, generator=torch.Generator().manual_seed(3)))


def test_position_embeddings_are_fitted_to_the_image_size(tmp_path):
    path, state = published("deit_tiny_patch16_224", tmp_path)
    config = BackboneConfig(
        name="deit_tiny_patch16_224",
        stem="imagenet",
        tap=5,
        image_size=64,
        pretrained=True,
        pretrained_file=path,
    )
    backbone = build_backbone(config)
    load_pretrained(backbone, config)
    assert backbone.net.pos_embed.shape == (1, 1 + 16, 192)
    torch.testing.assert_close(backbone.net.pos_embed[:, 0], state["pos_embed"][:, 0])
    torch.testing.assert_close(backbone.net.blocks[11].mlp.fc2.weight, state["blocks.11.mlp.fc2.weight"])


def test_nothing_is_loaded_unless_asked():
    config = BackboneConfig(channels=(4, 4, 8, 8))
    backbone = build_backbone(config)
    before = backbone.net.conv1.weight.clone()
    load_pretrained(backbone, config)
    assert torch.equal(backbone.net.conv1.weight, before)


@pytest.mark.slow
def test_files_that_do_not_fit(tmp_path):
    def attempt(path):
        config = BackboneConfig(stem="imagenet", pretrained=True, pretrained_file=path)
        load_pretrained(build_backbone(config), config)

    with pytest.raises(DataError, match="there is no file"):
        attempt(tmp_path / "absent.pth")
    other, _ = published("resnet10t", tmp_path)
    with pytest.raises(DataError, match="weights.pth does not hold timm's weights of resnet18"):
        attempt(other)
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "empty.pth")
    with pytest.raises(DataError, match="empty.pth does not hold"):
        attempt(tmp_path / "empty.pth")
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    with pytest.raises(DataError, match="damaged.pth does not hold"):
        attempt(tmp_path / "damaged.pth")


def test_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    config = BackboneConfig(stem="imagenet", pretrained=True)
    with pytest.raises(DataError, match="resnet18 by download .*set backbone.pretrained_file"):
        load_pretrained(build_backbone(config), config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pretrained": True}, "cannot fit stem: cifar"),
        ({"pretrained": True, "stem": "imagenet", "channels": (4, 4, 8, 8)}, "channels: null"),
        ({"pretrained_file": "w.pth", "stem": "imagenet"}, "only with pretrained: true"),
    ],
)
def test_refused_settings(options, message):
    with pytest.raises(ValidationError, match=message):
        BackboneConfig(**options)
