"""Taps against forward hooks, and what cannot be built."""

import pytest
import torch
from torch import nn

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.nn import build_backbone

SMALL = (4, 4, 8, 8)


def watch(net, stage):
    """The list into which a stage's output is put at every forward."""
    seen = []
    net.get_submodule(stage).register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "stride"), [("cifar", 4), ("imagenet", 16)])
@pytest.mark.parametrize(("name", "channels", "width"), [
    ("resnet18", 256, 512), ("resnet34", 256, 512), ("resnet50", 1024, 2048)
])  # fmt: skip
def test_third_stage(name, channels, width, stem, stride):
    backbone = build_backbone(BackboneConfig(name=name, stem=stem)).eval()
    assert (backbone.tap_channels, backbone.tap_stride, backbone.width) == (channels, stride, width)
    third, fourth = watch(backbone.net, "layer3"), watch(backbone.net, "layer4")
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        out = backbone(x)
    assert out.tap.shape == (2, channels, 32 // stride, 32 // stride)
    assert torch.equal(out.tap, third[0])
    torch.testing.assert_close(out.pooled, fourth[0].mean((2, 3)))
    assert out.pooled.shape == (2, width)


@pytest.mark.parametrize("tap", range(5))
def test_tap_map_runs_nothing_beyond_the_tap(tap):
    backbone = build_backbone(BackboneConfig(channels=SMALL, tap=tap)).eval()
    later = [watch(backbone.net, f"layer{stage}") for stage in range(tap + 1, 5)]
    own = watch(backbone.net, f"layer{tap}" if tap else "act1")
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        tapped = backbone.tap_map(x)
        assert torch.equal(tapped, own[0])
        assert not any(later)
        torch.testing.assert_close(backbone(x).tap, tapped)


def test_cifar_stem_keeps_the_resolution():
    backbone = build_backbone(BackboneConfig(channels=SMALL))
    conv = backbone.net.conv1
    assert (conv.kernel_size, conv.stride, conv.padding, conv.bias) == ((3, 3), (1, 1), (1, 1), None)
    assert isinstance(backbone.net.maxpool, nn.Identity)


def test_widths():
    backbone = build_backbone(BackboneConfig(channels=SMALL))
    assert (backbone.tap_channels, backbone.width) == (8, 8)
    tap = build_backbone(BackboneConfig(channels=(4, 6, 8, 10), tap=2))
    assert (tap.tap_channels, tap.tap_stride, tap.width) == (6, 2, 10)


def test_rectangles():
    backbone = build_backbone(BackboneConfig(channels=SMALL))
    assert backbone.tap_map(torch.zeros(2, 3, 16, 32)).shape == (2, 8, 4, 8)


def test_building_leaves_training_mode_and_statistics():
    """The tap is measured with a forward that must not be seen."""
    backbone = build_backbone(BackboneConfig(channels=SMALL))
    assert backbone.training and backbone.net.training
    norm = backbone.net.bn1
    assert norm.num_batches_tracked == 0 and not norm.running_mean.any()
    assert (norm.running_var == 1).all()


def test_gradient_reaches_the_images_through_frozen_weights():
    backbone = build_backbone(BackboneConfig(channels=SMALL)).requires_grad_(False)
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    out = backbone(x)
    (out.pooled.square().sum() + out.tap.square().sum()).backward()
    assert x.grad.abs().sum() > 0


def test_other_families():
    """Any timm model with feature stages, here one without ResNet's names."""
    backbone = build_backbone(BackboneConfig(name="convnext_atto", stem="imagenet", tap=2))
    out = backbone(torch.zeros(1, 3, 64, 64))
    assert out.tap.shape == (1, backbone.tap_channels, 64 // backbone.tap_stride, 64 // backbone.tap_stride)
    assert out.pooled.shape == (1, backbone.width)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet19"}, "resnet19.*Near it: .*resnet18"),
        ({"tap": 5}, "no stage 5.*0: act1.*3: layer3, 4: layer4"),
        ({"name": "mobilenetv3_small_050"}, "stem.*mobilenetv3_small_050"),
        ({"name": "resnetv2_50"}, "stem.*resnetv2_50"),
        ({"name": "resnet18d"}, "stem.*resnet18d"),
        ({"name": "convnext_atto", "stem": "imagenet", "channels": SMALL}, "channels.*convnext_atto"),
        ({"name": "resnetv2_50", "stem": "imagenet", "channels": SMALL}, "channels.*resnetv2_50"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(BackboneConfig(**options))
