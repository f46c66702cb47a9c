"""The Mixer against a plain loop over its numbered pipeline."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from helpers import naive_samix as naive
from helpers.tiny_mixer import AUTOMIX, OPTIONS, mapped, maps_of, mixer_of
from samix.config.networks import MixerConfig
from samix.mixup import Mixer
from samix.mixup.mixer.mixer import rescale_lam


def weights_of(mixer):
    return {name: t.detach().double() for name, t in mixer.state_dict().items()}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_pipeline(float64, options, lam, train):
    config = MixerConfig(**options)
    mixer = mixer_of(config).train(train)
    first, second = maps_of()
    weights = weights_of(mixer)  # before BatchNorm moves its statistics
    out = mapped(mixer, first, second, lam, (7, 8))
    mask, attention, content = naive.mixer(weights, config, first, second, lam, (7, 8), train)
    torch.testing.assert_close(out.attention, attention, atol=1e-10, rtol=0)
    torch.testing.assert_close(out.content.flatten(1), content, atol=1e-10, rtol=0)
    torch.testing.assert_close(out.mask, mask, atol=1e-10, rtol=0)
    assert out.mask.std() > 0.005 and out.attention.std() > 0.01  # else the comparison says little
    torch.testing.assert_close(out.attention.sum(-1), torch.ones(3, 12))


def test_second_mask_is_the_complement_by_its_own_pipeline(float64):
    """first + second = 1, the second being sigmoid(upsample(P v))."""
    mixer = mixer_of()
    first, second = maps_of()
    out = mapped(mixer, first, second, 0.3, (6, 8))
    logits = torch.einsum("nqk,nk->nq", out.attention, out.content.flatten(1)).reshape(3, 1, 3, 4)
    own = interpolate(logits, (6, 8), mode="bilinear", align_corners=False).sigmoid()
    torch.testing.assert_close(out.mask + own, torch.ones(3, 1, 6, 8))


@pytest.mark.parametrize("options", [{}, AUTOMIX], ids=["samix", "automix"])
@pytest.mark.parametrize(("size", "stride"), [(32, 4), (64, 4), (96, 16), (224, 16), (224, 32)])
def test_shape_range_and_initial_half(size, stride, options):
    mixer = Mixer(8, MixerConfig(**options))
    first, second = maps_of(2, 8, size // stride, size // stride)
    mask = mapped(mixer, first, second, 0.4, (size, size)).mask
    assert mask.shape == (2, 1, size, size)
    assert 0 < mask.min() <= mask.max() < 1
    assert (mask - 0.5).abs().max() < 0.03


def test_rectangles():
    first, second = maps_of(2, 6, 5, 3)
    assert mapped(mixer_of(), first, second, 0.4, (20, 12)).mask.shape == (2, 1, 20, 12)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_weight_learns(options):
    """A key's bias alone does not: it moves all logits of a row by the same."""
    mixer = mixer_of(MixerConfig(**options))
    maps = maps_of()
    out = mapped(mixer, *maps, 0.3, (7, 8))
    (out.mask * torch.randn(out.mask.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    idle = {name for name, p in mixer.named_parameters() if p.grad is None or p.grad.abs().max() < 1e-6}
    assert idle <= {"key.bias", "key.1.bias"}
    assert maps.grad is None


@pytest.mark.parametrize("std", [0.01, 0.05])
def test_initial_weights(std):
    torch.manual_seed(0)
    mixer = Mixer(256, MixerConfig(init_std=std))
    assert MixerConfig().init_std == 0.01
    for name in ("query", "key", "content.0", "content.3"):
        conv = mixer.get_submodule(name)
        assert conv.weight.std().item() == pytest.approx(std, rel=0.2)
        assert abs(conv.weight.mean().item()) < 0.2 * std
        if conv.bias is not None:
            assert not conv.bias.any()
    assert mixer.content[0].bias is None and mixer.content[3].bias is None
    assert mixer.query.weight.shape == mixer.key.weight.shape == (128, 512, 1, 1)
    assert mixer.content[0].weight.shape == (128, 256, 1, 1)
    assert mixer.gamma.item() == 1


def test_gamma_is_learnt_and_clamped():
    mixer = mixer_of()
    first, second = maps_of()
    mapped(mixer, first, second, 0.3, (6, 8)).mask.sum().backward()
    assert mixer.gamma.grad.abs() > 0
    for value, clamped in ((1.4, 1.0), (-0.2, 0.0), (0.6, 0.6)):
        mixer.gamma.data.fill_(value)
        mixer.clamp_gamma()
        assert mixer.gamma.item() == pytest.approx(clamped)


def test_fixed_gamma_is_saved_and_not_learnt():
    mixer = Mixer(6, MixerConfig(gamma="fixed"))
    assert "gamma" not in dict(mixer.named_parameters())
    assert mixer.state_dict()["gamma"] == 1


def test_gamma_zero_hides_lam():
    mixer = mixer_of().eval()
    first, second = maps_of()
    mixer.gamma.data.zero_()
    low, high = (mapped(mixer, first, second, lam, (6, 8)) for lam in (0.1, 0.9))
    torch.testing.assert_close(low, high)


def test_inputs_are_unchanged():
    mixer = mixer_of()
    maps = maps_of()
    before = maps.clone()
    mapped(mixer, *maps, 0.3, (6, 8))
    assert torch.equal(maps, before)


def test_dropout_acts_in_training_only():
    mixer = mixer_of(MixerConfig(dropout=0.5))
    first, second = maps_of()
    torch.manual_seed(0)
    content = mapped(mixer, first, second, 0.3, (6, 8)).content
    assert 0.2 < (content == 0).float().mean() < 0.8
    mixer.eval()
    content = mapped(mixer, first, second, 0.3, (6, 8)).content
    assert (content != 0).all()
    torch.testing.assert_close(mapped(mixer, first, second, 0.3, (6, 8)).content, content)


@pytest.mark.parametrize("options", [{}, {"norm": "layer"}, {"qk_norm": True}, AUTOMIX], ids=str)
def test_float32_island_under_autocast(options):
    """Convolutions run in bf16; softmax, product and sigmoid do not."""
    mixer = mixer_of(MixerConfig(**options | {"upsample": "bilinear"})).eval()
    first, second = maps_of(channels=6, h=6, w=6)
    with torch.autocast("cpu", torch.bfloat16):
        out = mapped(mixer, first, second, 0.3, (24, 24))
        assert out.content.dtype == torch.bfloat16
    assert out.mask.dtype == out.attention.dtype == torch.float32
    assert (out.attention.double().sum(-1) - 1).abs().max() < 1e-6
    logits = (out.attention @ out.content.float().flatten(2).transpose(1, 2)).reshape(3, 1, 6, 6)
    again = interpolate(logits, (24, 24), mode="bilinear").sigmoid()
    torch.testing.assert_close(1 - out.mask, again, atol=1e-6, rtol=0)


@pytest.mark.parametrize("k", [0.0, 0.25, 1.0, 10.0])
def test_rescale_lam_fixed_points_and_slopes(k):
    assert rescale_lam(0, k) == 0
    assert rescale_lam(0.5, k) == pytest.approx(0.5)
    assert rescale_lam(1, k) == pytest.approx(1)
    h = 1e-5
    slope = (rescale_lam(0.5 + h, k) - rescale_lam(0.5 - h, k)) / (2 * h)
    assert slope == pytest.approx(k / (k + 1 / 3), abs=1e-6)
    assert rescale_lam(h, k) / h == pytest.approx((k + 1) / (k + 1 / 3), rel=1e-4)


@given(lam=st.floats(0, 1), k=st.floats(0, 10))
def test_rescale_lam_is_symmetric_and_rises(lam, k):
    assert rescale_lam(1 - lam, k) == pytest.approx(1 - rescale_lam(lam, k), abs=1e-9)
    assert rescale_lam(lam, k) <= rescale_lam(min(1.0, lam + 0.01), k) + 1e-12


@given(lam=st.floats(0, 1))
def test_rescale_lam_can_be_the_identity(lam):
    assert rescale_lam(lam, -1) == lam
