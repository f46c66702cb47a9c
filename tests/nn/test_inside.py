"""Features changed between two stages, and attention, against networks that are run by hand."""

import copy

import pytest
import torch
from torch import nn

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError
from samix.nn import build_backbone, frozen_copy

pytestmark = pytest.mark.slow

SMALL = (4, 4, 8, 8)
CNN = BackboneConfig(channels=SMALL)
WIDE = BackboneConfig(name="wrn28_8")
NEXT = BackboneConfig(name="test_convnext", stem="imagenet", tap=2)
VIT = BackboneConfig(name="test_vit", stem="imagenet", image_size=64, tap=2)
STEMLESS = BackboneConfig(name="mobilenetv3_small_050", stem="imagenet", tap=2)
SWIN = BackboneConfig(name="swin_tiny_patch4_window7_224", stem="imagenet", image_size=64)
DISTILLED = BackboneConfig(
    name="deit_tiny_distilled_patch16_224", stem="imagenet", image_size=64, tap="blocks.3"
)
RESNET_STAGES = ["maxpool", "layer1", "layer2", "layer3", "layer4"]
BLOCKS = [f"blocks.{number}" for number in range(6)]


def built(config):
    torch.manual_seed(0)
    return build_backbone(config).eval()


def images(backbone, count=3):
    size = (backbone.image_size or (32, 32))[0]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def mixed(h):
    """Neither linear nor alike for two samples, so that it cannot move past another layer unnoticed."""
    return 0.3 * h + 0.7 * h.flip(0).square()


def hooks(backbone):
    found = [(m._forward_hooks, m._forward_pre_hooks) for m in backbone.modules()]
    return sum(len(hook) for pair in found for hook in pair)


@pytest.mark.parametrize(
    ("config", "stages"),
    [
        (CNN, RESNET_STAGES),
        (CNN.model_copy(update={"stem": "imagenet"}), RESNET_STAGES),
        (WIDE, ["stem", "stages.0", "stages.1", "stages.2"]),
        (NEXT, ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]),
        (
            BackboneConfig(name="resnetv2_50", stem="imagenet", tap=2),
            ["stem", "stages.0", "stages.1", "stages.2", "stages.3"],
        ),
        (VIT, ["patch_embed", *BLOCKS]),
        (SWIN, ["patch_embed", "layers.0", "layers.1", "layers.2", "layers.3"]),
        (STEMLESS, []),
    ],
)
def test_stages(config, stages):
    assert built(config).stages == stages


def resnet(net):
    """Its stages, what makes the last features, and how these are pooled."""
    stem = nn.Sequential(net.conv1, net.bn1, net.act1, net.maxpool)
    return [stem, net.layer1, net.layer2, net.layer3, net.layer4], nn.Identity(), lambda h: h.mean((2, 3))


def wide(net):
    return [net.stem, *net.stages], net.norm, lambda h: h.mean((2, 3))


def transformer(net):
    def first(patches):
        token, rows = net.cls_token.expand(len(patches), -1, -1), patches.flatten(1, 2)  # of NHWC
        return net.blocks[0](torch.cat([token, rows], 1) + net.pos_embed)

    return [net.patch_embed, first, *net.blocks[1:]], net.norm, lambda h: h[:, 0]


def by_hand(net, parts, x, stage):
    """The network in parts, `mixed` after one of its stages; -1: before pooling."""
    stages, last, pool = parts(net)
    for place, part in enumerate(stages):
        x = mixed(part(x)) if place == stage else part(x)
    x = last(x)
    return pool(mixed(x) if stage == -1 else x)


@pytest.mark.parametrize("stage", [0, 1, 2, 3, -1])
@pytest.mark.parametrize(("config", "parts"), [(CNN, resnet), (WIDE, wide), (VIT, transformer)])
def test_a_change_between_two_stages(config, parts, stage):
    backbone = built(config)
    x = images(backbone)
    with torch.no_grad():
        plain = backbone(x).pooled
        with backbone.altering(stage, mixed):
            changed = backbone(x).pooled
        torch.testing.assert_close(plain, by_hand(backbone.net, parts, x, None))
        torch.testing.assert_close(changed, by_hand(backbone.net, parts, x, stage))
    assert not torch.allclose(plain, changed, atol=1e-4)


@pytest.mark.parametrize("stage", [0, 2, -1])
def test_only_the_first_pass_is_changed(stage):
    backbone = built(CNN)
    x = images(backbone)
    with torch.no_grad():
        plain = backbone(x).pooled
        with backbone.altering(stage, mixed):
            assert not torch.equal(backbone(x).pooled, plain)
            assert torch.equal(backbone(x).pooled, plain)
        assert torch.equal(backbone(x).pooled, plain)
    assert hooks(backbone) == 0


@pytest.mark.parametrize("stage", [1, -1])
def test_nothing_stays_after_an_error(stage):
    """Neither where the change fails, nor where the pass fails before it."""
    backbone = built(CNN)
    x = images(backbone)

    def fail(h):
        raise ArithmeticError

    with torch.no_grad():
        plain = backbone(x).pooled
        with pytest.raises(ArithmeticError), backbone.altering(stage, fail):
            backbone(x)
        with pytest.raises(RuntimeError, match="channels"), backbone.altering(stage, mixed):
            backbone(x[:, :2])
        assert hooks(backbone) == 0
        assert torch.equal(backbone(x).pooled, plain)


def test_a_module_that_does_not_run_is_noticed():
    """The images would be labelled as mixed and be plain."""
    backbone = built(CNN)
    with pytest.raises(ConfigError, match="after layer1"), backbone.altering(1, mixed):
        pass
    assert hooks(backbone) == 0


@pytest.mark.parametrize("stage", [1, -1])
def test_copies_are_left_alone(stage):
    backbone = built(CNN)
    twin = frozen_copy(backbone)
    x = images(backbone)
    with torch.no_grad():
        plain = twin(x).pooled
        with backbone.altering(stage, mixed):
            assert torch.equal(twin(x).pooled, plain)
            assert not torch.equal(backbone(x).pooled, plain)
        later = copy.deepcopy(backbone)
    assert hooks(twin) == hooks(later) == 0
    assert torch.equal(later(x).pooled, plain)


@pytest.mark.parametrize("stage", [0, 2, -1])
def test_gradient_passes_through_a_change(stage):
    """To both parents: the images of a sample that is mixed with another."""
    backbone = built(CNN)
    x = images(backbone, 2).requires_grad_()
    with backbone.altering(stage, lambda h: 0.5 * h + 0.5 * h.flip(0)):
        backbone(x).pooled[0].square().sum().backward()
    assert x.grad[0].abs().sum() > 0 and x.grad[1].abs().sum() > 0


@pytest.mark.parametrize(
    ("config", "stage", "message"),
    [
        (CNN, 5, "no stage 5 .*0: maxpool, .*4: layer4"),
        (BackboneConfig(name="vgg11", stem="imagenet", tap=2), 0, "none"),
    ],
)
def test_a_stage_that_is_not_there(config, stage, message):
    backbone = built(config)
    with pytest.raises(ConfigError, match=message), backbone.altering(stage, mixed):
        pass


@pytest.mark.parametrize("config", [CNN, VIT])
def test_last_features_are_those_before_pooling(config):
    backbone = built(config)
    x = images(backbone)
    with torch.no_grad():
        last = backbone.last_map(x)
        pooled = last.mean((2, 3)) if config is CNN else last[:, 0]
        torch.testing.assert_close(pooled, backbone(x).pooled)
    with pytest.raises(RuntimeError, match="channels"):
        build_backbone(CNN).last_map(x[:, :2])


def softmax_rows(attention, tokens):
    """(N, T, T) in float64 of what goes into timm's attention: each head by itself, then their mean."""
    tokens, weight = tokens.double(), attention.qkv.weight.double()
    bias = attention.qkv.bias.double()
    width, heads = tokens.shape[2], attention.num_heads
    side, total = width // heads, 0
    for head in range(heads):
        rows = torch.arange(head * side, (head + 1) * side)
        queries, keys = (tokens @ weight[start + rows].T + bias[start + rows] for start in (0, width))
        scores = queries @ keys.transpose(1, 2) / side**0.5
        exponentials = (scores - scores.amax(2, keepdim=True)).exp()
        total = total + exponentials / exponentials.sum(2, keepdim=True)
    return total / heads


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("config", [VIT, DISTILLED])
def test_attention_against_queries_and_keys(config, every):
    backbone = built(config)
    for block in backbone.net.blocks:  # of fresh weights it is nearly uniform
        nn.init.normal_(block.attn.qkv.weight, std=0.3)
        nn.init.normal_(block.attn.qkv.bias)
    x, inputs = images(backbone), []
    handles = [
        block.norm1.register_forward_hook(lambda m, i, output: inputs.append(output))
        for block in backbone.net.blocks
    ]
    with torch.no_grad(), backbone.attending(every=every) as kept:
        backbone(x)
    for handle in handles:
        handle.remove()
    blocks = list(zip(backbone.net.blocks, inputs, strict=True))
    blocks = blocks if every else blocks[-1:]
    assert len(kept) == len(blocks)
    prefix = 2 if config is DISTILLED else 1
    for rows, (block, tokens) in zip(kept, blocks, strict=True):
        want = softmax_rows(block.attn, tokens)
        assert rows.shape == (3, 16 + prefix, 16 + prefix) and rows.dtype == torch.float32
        torch.testing.assert_close(rows.double(), want, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(rows.sum(2), torch.ones(3, 16 + prefix))
        assert want.std() > 0.01
    looked = backbone.looks_at(kept[-1], (64, 64))
    assert looked.shape == (3, 1, 4, 4)
    for row in range(4):
        for column in range(4):
            assert torch.equal(looked[:, 0, row, column], kept[-1][:, 0, prefix + 4 * row + column])


def test_patches_of_a_rectangle_lie_where_they_are():
    """Rows before columns, in images of 32 x 64 pixels."""
    backbone = built(VIT)
    attention = torch.arange(9.0).expand(2, 9, 9)
    assert backbone.looks_at(attention, (32, 64)).tolist() == [[[[1, 2, 3, 4], [5, 6, 7, 8]]]] * 2


def test_attention_has_no_gradient_and_outputs_keep_theirs():
    backbone = built(VIT)
    x = images(backbone)
    with backbone.attending() as kept:
        pooled = backbone(x).pooled
    assert not kept[0].requires_grad
    backbone.zero_grad()
    pooled.square().sum().backward()
    seen = backbone.net.blocks[-1].attn.qkv.weight.grad.clone()
    backbone.zero_grad()
    backbone(x).pooled.square().sum().backward()
    torch.testing.assert_close(seen, backbone.net.blocks[-1].attn.qkv.weight.grad, atol=1e-5, rtol=1e-3)


def test_attention_is_read_before_dropout():
    backbone = built(VIT)
    with torch.no_grad(), backbone.attending() as kept:
        backbone(images(backbone))
        backbone.net.blocks[-1].attn.attn_drop.p = 0.5
        backbone.train()(images(backbone))
    torch.testing.assert_close(kept[0], kept[1])


@pytest.mark.parametrize("every", [False, True])
def test_attending_leaves_the_network_as_it_was(every):
    backbone = built(VIT)
    twin, x = frozen_copy(backbone), images(backbone)
    blocks = [block.attn for block in backbone.net.blocks]
    blocks[-1].fused_attn, blocks[0].fused_attn = True, False  # each as it was, not all alike
    before = [block.fused_attn for block in blocks]
    with torch.no_grad():
        plain = backbone(x).pooled
        with backbone.attending(every=every) as kept:
            assert not blocks[-1].fused_attn
            twin(x)
            assert not kept
            torch.testing.assert_close(backbone(x).pooled, plain)
            count = len(kept)
        backbone(x)
        with pytest.raises(ArithmeticError), backbone.attending(every=every):
            raise ArithmeticError
    assert len(kept) == count == (6 if every else 1)
    assert [block.fused_attn for block in blocks] == before
    assert hooks(backbone) == hooks(twin) == 0


@pytest.mark.parametrize(
    ("config", "attends"),
    [
        (VIT, True),
        (DISTILLED, True),
        (CNN, False),
        (SWIN, False),
        (VIT.model_copy(update={"name": "test_vit2"}), False),  # pools its patches
        (VIT.model_copy(update={"name": "test_vit3"}), False),
    ],
)
def test_who_attends(config, attends):
    assert built(config).attends is attends


@pytest.mark.parametrize("name", ["ParallelScalingBlock", "ParallelThingsBlock", "DiffParallelScalingBlock"])
def test_blocks_whose_attention_cannot_be_read(name):
    """A class token does not help where blocks have no attention module of the common kind."""
    from timm.models import vision_transformer

    backbone = built(VIT)
    backbone.net.blocks[3] = getattr(vision_transformer, name)(64, 2)
    assert backbone.net.has_class_token and not backbone.attends


def test_attention_of_changed_features():
    """Policies may ask for both in one pass."""
    backbone = built(VIT)
    x = images(backbone)
    with torch.no_grad(), backbone.attending() as kept:
        backbone(x)
        with backbone.altering(1, mixed):
            backbone(x)
        assert not torch.allclose(kept[0], kept[1], atol=1e-6)
