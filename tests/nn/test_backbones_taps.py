"""The output of a tap, position by position; a pass that stops at the tap; one pass for both outputs."""

from collections import Counter

import pytest
import torch
from torch import nn

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.nn import build_backbone, frozen_copy

pytestmark = pytest.mark.slow

SMALL = (4, 4, 8, 8)
DEIT = BackboneConfig(name="deit_small_patch16_224", stem="imagenet", image_size=64)
SWIN = BackboneConfig(name="swin_tiny_patch4_window7_224", stem="imagenet", image_size=64)
RESNET = BackboneConfig(channels=SMALL)
# each with the parts that run before the tap and after it
CONFIGS = {
    "resnet": (RESNET, ["layer3"], ["layer4"]),
    "named": (BackboneConfig(channels=SMALL, tap="layer3"), ["layer3"], ["layer4"]),
    "within": (
        BackboneConfig(channels=SMALL, tap="layer2.0.conv1"),
        ["layer1", "layer2.0.conv1"],
        ["layer3"],
    ),
    "wrn": (BackboneConfig(name="wrn28_8"), ["stages.1"], ["stages.2"]),
    "convnext": (BackboneConfig(name="convnext_tiny"), ["stages.2"], ["stages.3"]),
    "deit": (DEIT, ["blocks.5"], ["blocks.6", "blocks.11"]),
    "swin": (SWIN, ["layers.2", "layers.3.downsample"], ["layers.3.blocks.0", "layers.3.blocks.1"]),
}


@pytest.fixture(scope="module")
def backbones():
    torch.manual_seed(0)
    return {key: build_backbone(config).eval() for key, (config, _, _) in CONFIGS.items()}


def images(backbone, count=2):
    size = (backbone.image_size or (32, 32))[0]
    return torch.randn(count, 3, size, size)


def record(net, name, x):
    """Output of a module in timm's own forward pass."""
    seen = []
    handle = net.get_submodule(name).register_forward_hook(lambda m, i, output: seen.append(output.clone()))
    with torch.no_grad():
        net(x)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize("key", CONFIGS)
def test_one_pass_gives_what_separate_ones_give(key, backbones):
    backbone = backbones[key]
    x = images(backbone)
    with torch.no_grad():
        out = backbone(x)
        torch.testing.assert_close(out.tap, backbone.tap_map(x))
        torch.testing.assert_close(out.pooled, backbone.net(x))  # timm's own forward, without a classifier
    assert out.pooled.shape == (2, backbone.width)
    side = x.shape[2] // backbone.tap_stride
    assert out.tap.shape == (2, backbone.tap_channels, side, side)


@pytest.mark.parametrize("key", CONFIGS)
def test_what_comes_after_the_tap_runs_once_or_not_at_all(key, backbones):
    backbone = backbones[key]
    _, before, after = CONFIGS[key]
    calls = Counter()
    handles = [
        backbone.net.get_submodule(name).register_forward_hook(
            lambda m, i, o, name=name: calls.update([name])
        )
        for name in before + after
    ]
    with torch.no_grad():
        backbone.tap_map(images(backbone))
        assert calls == Counter(before)
        calls.clear()
        backbone(images(backbone))
        assert calls == Counter(before + after)
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("key", CONFIGS)
def test_gradient_reaches_the_images_by_either_way(key, backbones):
    backbone = backbones[key].requires_grad_(False)
    for output in ("tap", "pooled"):
        x = images(backbone).requires_grad_()
        getattr(backbone(x), output).square()[0].sum().backward()
        assert x.grad[0].abs().sum() > 0
        assert not x.grad[1].any()  # eval mode: images do not see each other


@pytest.mark.parametrize("tap", [None, 5, "blocks.5"])
def test_deit_tokens_lie_where_their_patches_are(tap):
    backbone = build_backbone(DEIT.model_copy(update={"tap": tap})).eval()
    x = images(backbone)
    tokens = record(backbone.net, "blocks.5", x)
    assert tokens.shape == (2, 1 + 16, 384)
    with torch.no_grad():
        tapped = backbone(x).tap
    for row in range(4):
        for column in range(4):
            torch.testing.assert_close(tapped[:, :, row, column], tokens[:, 1 + 4 * row + column])


def test_deit_pools_its_class_token(backbones):
    backbone = backbones["deit"]
    x = images(backbone)
    with torch.no_grad():
        torch.testing.assert_close(backbone(x).pooled, record(backbone.net, "norm", x)[:, 0])


def test_swin_maps_are_normed_and_lie_where_their_patches_are(backbones):
    backbone = backbones["swin"]
    x = images(backbone)
    merged = record(backbone.net, "layers.3.downsample", x).double()
    assert merged.shape == (2, 2, 2, 768)
    with torch.no_grad():
        tapped = backbone(x).tap
    for row in range(2):
        for column in range(2):
            vectors = merged[:, row, column]
            centred = vectors - vectors.mean(1, keepdim=True)
            expected = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
            torch.testing.assert_close(tapped[:, :, row, column].double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("config", "tap", "patch"), [
    (DEIT, "patch_embed", 16), (SWIN, "patch_embed", 4), (DEIT, "patch_embed.proj", 16)
])  # fmt: skip
def test_a_changed_patch_changes_its_own_pixel(config, tap, patch):
    backbone = build_backbone(config.model_copy(update={"tap": tap})).eval()
    assert backbone.tap_stride == patch
    first = images(backbone, 1)
    second = first.clone()
    second[:, :, patch : 2 * patch, 3 * patch : 4 * patch] += torch.randn(3, patch, patch)
    with torch.no_grad():
        moved = (backbone.tap_map(first) - backbone.tap_map(second)).abs().sum((0, 1))
    assert moved.nonzero().tolist() == [[1, 3]]


def test_an_activation_in_place_does_not_reach_back():
    """timm's ReLU after bn1 writes into bn1's output."""
    backbone = build_backbone(BackboneConfig(channels=SMALL, tap="bn1")).eval()
    assert backbone.net.act1.inplace
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert backbone(x).tap.min() < 0
        torch.testing.assert_close(backbone(x).tap, backbone.tap_map(x))


def test_no_hook_stays():
    backbone = build_backbone(BackboneConfig(channels=SMALL, tap="layer3"))
    x = torch.randn(2, 3, 16, 16)
    backbone(x), backbone.tap_map(x)
    for run in (backbone, backbone.tap_map):
        with pytest.raises(RuntimeError, match="channels"):
            run(torch.randn(2, 4, 16, 16))
    assert not any(module._forward_hooks for module in backbone.modules())


def test_a_frozen_copy_taps_itself():
    backbone = build_backbone(BackboneConfig(channels=SMALL, tap="layer3")).eval()
    twin = frozen_copy(backbone)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        before = twin(x).tap
        torch.testing.assert_close(before, backbone(x).tap)
        nn.init.zeros_(backbone.net.conv1.weight)
        assert torch.equal(twin(x).tap, before)
        assert not torch.equal(backbone(x).tap, before)


@pytest.mark.parametrize("key", ["deit", "swin"])
def test_images_of_another_size_are_refused(key, backbones):
    for run in (backbones[key], backbones[key].tap_map):
        with pytest.raises(ConfigError, match=r"image_size.*\(64, 64\) pixels, not of \(32, 32\)"):
            run(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            BackboneConfig(tap="layr3"),
            "no module 'layr3'. Near it: layer3.*Its stages: .*3: layer3, 4: layer4",
        ),
        (BackboneConfig(tap="fc"), "fc does not run"),
        (DEIT.model_copy(update={"tap": 12}), "no stage 12; it has 0: blocks.0, .*11: blocks.11"),
        (SWIN.model_copy(update={"tap": "layers.0.blocks.0.attn"}), "attn gives no feature map"),
        (BackboneConfig(name="convnext_tiny", tap="stages.2.blocks.0.mlp"), "mlp gives no map of the image"),
        (BackboneConfig(name="resnet26"), "resnet26 has no default tap: name a stage of 0: act1.*3: layer3"),
        (DEIT.model_copy(update={"image_size": 30}), "image_size is 30.*multiple of 16"),
        (SWIN.model_copy(update={"image_size": 48}), "image_size is 48.*multiple of 32"),
        (BackboneConfig(image_size=64), "image_size is for .*resnet18 takes image_size: null"),
        (BackboneConfig(name="wrn28_8", channels=SMALL), "channels.*wrn28_8"),
        (BackboneConfig(name="vgg11", stem="imagenet", tap=2, drop_path=0.1), "vgg11.*drop_path"),
        (BackboneConfig(name="wrn28_10"), "no model 'wrn28_10'. Near it: wrn28_8"),
    ],
)
def test_wrong_settings(config, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(config)
