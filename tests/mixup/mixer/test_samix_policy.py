"""SAMix as a policy: the adjusted mask, without gradient."""

import naive_samix as naive
import numpy as np
import pytest
import torch

from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import MixerConfig
from samix.mixup import Guides, Mixer, Pairing, SAMix, mix


def mixer_of(seed=0):
    torch.manual_seed(seed)
    mixer = Mixer(4, MixerConfig())
    for parameter in mixer.parameters():
        parameter.data.normal_()
    return mixer


def test_mix_step_by_step(float64):
    """Masks of the maps of both parents, adjusted to lam, blended; one permutation for images and maps."""
    mixer, images, maps = mixer_of(), torch.randn(3, 3, 6, 8), torch.randn(3, 4, 3, 4)
    index, lam = torch.tensor([1, 2, 0]), 0.3
    weights = {name: t.clone() for name, t in mixer.state_dict().items()}
    policy = SAMix(mixer, MaskAdjustConfig(margin=0.05))
    out = mix(policy, images, Pairing(index), lam, generator=np.random.default_rng(0), features=maps)
    raw, _, _ = naive.mixer(weights, mixer.config, maps, maps[index], lam, (6, 8))
    want = torch.stack([naive.adjust(mask, lam, 0.05) for mask in raw])
    assert not torch.allclose(raw, want)  # the adjusting had something to do
    torch.testing.assert_close(out.mask, want)
    torch.testing.assert_close(out.images, naive.blend(images, index, want))
    assert out.lam == lam


def test_no_gradient_and_inputs_unchanged():
    images, maps = torch.randn(2, 3, 6, 8, requires_grad=True), torch.randn(2, 4, 3, 4, requires_grad=True)
    before = images.detach().clone(), maps.detach().clone()
    policy = SAMix(mixer_of(), MaskAdjustConfig())
    out = policy(
        images, images.flip(0), 0.3, generator=np.random.default_rng(0), guides=Guides(maps, maps.flip(0))
    )
    assert not out.images.requires_grad and not out.mask.requires_grad
    assert torch.equal(images, before[0]) and torch.equal(maps, before[1])


def test_lam_margin_is_plain_mixup():
    first, second = torch.randn(2, 2, 3, 6, 8)
    policy = SAMix(mixer_of(), MaskAdjustConfig(lam_margin=0.08))
    guides = Guides(*torch.randn(2, 2, 4, 3, 4))
    out = policy(first, second, 0.95, generator=np.random.default_rng(0), guides=guides)
    torch.testing.assert_close(out.images, 0.95 * first + 0.05 * second)


def test_maps_are_needed():
    policy = SAMix(mixer_of(), MaskAdjustConfig())
    assert policy.needs_features
    with pytest.raises(ValueError, match="maps"):
        policy(*torch.randn(2, 2, 3, 6, 8), 0.5, generator=np.random.default_rng(0), guides=None)
