"""The public table: taps as the paper names them, WRN-28-8 against plain convolutions, the printed table."""

import pytest
import timm
import torch
from timm.layers import DropPath
from torch.nn import functional as F

from samix.commands import main
from samix.config.networks import BackboneConfig, MixerConfig
from samix.core.errors import ConfigError
from samix.mixup.mixer.mixer import Mixer
from samix.nn import BACKBONES, build_backbone
from samix.nn.table import image_size

pytestmark = pytest.mark.slow

DEIT, SWIN = "deit_small_patch16_224", "swin_tiny_patch4_window7_224"

# name, stem, side of the image: channels, side and stride of the tap's map, width of the pooled output
PAPER = {
    ("resnet18", "imagenet", 224): (256, 14, 16, 512),
    ("resnet34", "imagenet", 224): (256, 14, 16, 512),
    ("resnet50", "imagenet", 224): (1024, 14, 16, 2048),
    ("resnet101", "imagenet", 224): (1024, 14, 16, 2048),
    ("resnext50_32x4d", "imagenet", 224): (1024, 14, 16, 2048),
    ("resnext101_32x4d", "imagenet", 224): (1024, 14, 16, 2048),
    ("resnet18", "cifar", 32): (256, 8, 4, 512),
    ("resnet34", "cifar", 32): (256, 8, 4, 512),
    ("resnet50", "cifar", 32): (1024, 8, 4, 2048),
    ("resnet101", "cifar", 32): (1024, 8, 4, 2048),
    ("resnext50_32x4d", "cifar", 32): (1024, 8, 4, 2048),
    ("resnext101_32x4d", "cifar", 32): (1024, 8, 4, 2048),
    ("wrn28_8", "cifar", 32): (256, 16, 2, 512),
    (DEIT, "imagenet", 224): (384, 14, 16, 384),
    (SWIN, "imagenet", 224): (768, 7, 32, 768),
    ("convnext_tiny", "cifar", 32): (384, 8, 4, 768),
    ("convnext_tiny", "imagenet", 224): (384, 14, 16, 768),
}
# width of the Mixer's queries by the channels of its maps
HIDDEN = {256: 128, 384: 192, 768: 384, 1024: 512}


def test_the_table_has_these_rows_and_no_others():
    rows = {(name, stem, image_size(stem)) for name, known in BACKBONES.items() for stem in known.stems}
    assert rows == set(PAPER)


@pytest.mark.parametrize(("name", "stem", "size"), PAPER)
def test_default_tap(name, stem, size):
    channels, side, stride, width = PAPER[name, stem, size]
    backbone = build_backbone(BackboneConfig(name=name, stem=stem)).eval()
    assert (backbone.tap_channels, backbone.tap_stride, backbone.width) == (channels, stride, width)
    with torch.no_grad():
        tapped = backbone.tap_map(torch.randn(1, 3, size, size))
    assert tapped.shape == (1, channels, side, side)
    assert tapped.is_contiguous() or tapped.is_contiguous(memory_format=torch.channels_last)
    assert tapped.std() > 0
    mixer = Mixer(backbone.tap_channels, MixerConfig())
    assert next(mixer.query.parameters()).shape[0] == HIDDEN[channels]


def test_tiny_imagenet_has_maps_of_16():
    backbone = build_backbone(BackboneConfig(name="resnet18"))
    assert backbone.tap_map(torch.zeros(1, 3, 64, 64)).shape == (1, 256, 16, 16)


@pytest.mark.parametrize("name", [name for name, known in BACKBONES.items() if len(known.stems) == 1])
def test_one_stem_only(name):
    (stem,) = BACKBONES[name].stems
    other = {"cifar": "imagenet", "imagenet": "cifar"}[stem]
    with pytest.raises(ConfigError, match=f"stem.*{name} has no stem {other}: set it to {stem}"):
        build_backbone(BackboneConfig(name=name, stem=other))


def test_wrn_has_the_published_size():
    """23.4 M with the classifier of CIFAR-100."""
    backbone = build_backbone(BackboneConfig(name="wrn28_8"))
    classifier = 512 * 100 + 100
    assert round((sum(p.numel() for p in backbone.parameters()) + classifier) / 1e6, 1) == 23.4


def plain_wrn(state, x):
    """WRN-28-8 in eval mode, written down from its paper: the map after the second group, and the output."""

    def norm_relu(x, key):
        mean, var = state[f"{key}.running_mean"], state[f"{key}.running_var"]
        return F.relu(F.batch_norm(x, mean, var, state[f"{key}.weight"], state[f"{key}.bias"]))

    maps = []
    x = F.conv2d(x, state["stem.conv.weight"], padding=1)
    for group in range(3):
        for block in range(4):
            key = f"stages.{group}.blocks.{block}"
            stride = 2 if group > 0 and block == 0 else 1
            y = norm_relu(x, f"{key}.norm1")
            if block == 0:
                x = F.conv2d(y, state[f"{key}.downsample.conv.weight"], stride=stride)
            y = F.conv2d(y, state[f"{key}.conv1.weight"], stride=stride, padding=1)
            x = x + F.conv2d(norm_relu(y, f"{key}.norm2"), state[f"{key}.conv2.weight"], padding=1)
        maps.append(x)
    return maps[1], norm_relu(x, "norm").mean((2, 3))


def test_wrn_computes_what_its_paper_says():
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(name="wrn28_8")).double().eval()
    for name, buffer in backbone.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        out = backbone(x)
        tap, pooled = plain_wrn(backbone.net.state_dict(), x)
    torch.testing.assert_close(out.tap, tap)
    torch.testing.assert_close(out.pooled, pooled)


def test_convnext_keeps_the_resolution_with_the_stem_cifar():
    net = build_backbone(BackboneConfig(name="convnext_tiny")).net
    conv = net.stem[0]
    assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
    assert 0.015 < conv.weight.std() < 0.025 and not conv.bias.any()
    own = dict(timm.create_model("convnext_tiny", num_classes=0).named_parameters())
    ours = dict(net.named_parameters())
    changed = {name for name in ours | own if ours[name].shape != own[name].shape}
    assert changed == {"stem.0.weight"}


@pytest.mark.parametrize(
    ("name", "stem"),
    [("resnet18", "cifar"), ("wrn28_8", "cifar"), ("convnext_tiny", "cifar"), (DEIT, "imagenet")],
)
def test_drop_path_rises_to_its_rate(name, stem):
    backbone = build_backbone(BackboneConfig(name=name, stem=stem, drop_path=0.3))
    rates = [module.drop_prob for module in backbone.modules() if isinstance(module, DropPath)]
    assert max(rates) == pytest.approx(0.3) and min(rates) < 0.1
    without = build_backbone(BackboneConfig(name=name, stem=stem))
    assert not any(isinstance(module, DropPath) for module in without.modules())


@pytest.mark.slow
def test_the_printed_table(capsys):
    main(["table", "backbones"])
    lines = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines()]
    header, _, *lines = [[cell.strip() for cell in line] for line in lines]
    printed = {}
    for line in lines:
        row = dict(zip(header, line, strict=True))
        channels, height, width = map(int, row["tap C x h x w"].split(" x "))
        assert height == width and float(row["parameters (M)"]) > 10
        key = (row["name"], row["stem"], int(row["image"]))
        printed[key] = (channels, height, int(row["tap stride"]), int(row["width"]))
    assert printed == PAPER
