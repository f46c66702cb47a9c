"""SAMix as a policy: the adjusted mask, without gradient."""

import pytest
import torch

from helpers import naive_samix as naive
from helpers.mixing import mixed_batch, mixed_pairs
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import MixerConfig
from samix.mixup import ImageInfo, Mixer, PairInfo, SAMix


def mixer_of(seed=0, **options):
    torch.manual_seed(seed)
    mixer = Mixer(4, MixerConfig(**options))
    for parameter in mixer.parameters():
        parameter.data.normal_()
    return mixer


def test_mix_step_by_step(float64):
    """Masks of the maps of both parents, adjusted to lam, blended; one permutation for images and maps."""
    mixer, images, maps = mixer_of(), torch.randn(3, 3, 6, 8), torch.randn(3, 4, 3, 4)
    index, lam = torch.tensor([1, 2, 0]), 0.3
    weights = {name: t.clone() for name, t in mixer.state_dict().items()}
    policy = SAMix(mixer, MaskAdjustConfig(margin=0.05))
    out = mixed_batch(policy, images, lam, index=index, info=ImageInfo(maps))
    raw, _, _ = naive.mixer(weights, mixer.config, maps, maps[index], lam, (6, 8))
    want = torch.stack([naive.adjust(mask, lam, 0.05) for mask in raw])
    assert not torch.allclose(raw, want)  # the adjusting had something to do
    torch.testing.assert_close(out.mask, want)
    torch.testing.assert_close(out.images, naive.blend(images, index, want))
    assert out.weights.tolist() == [[lam] * 3, [1 - lam] * 3]


def test_no_gradient_and_inputs_unchanged():
    images, maps = torch.randn(2, 3, 6, 8, requires_grad=True), torch.randn(2, 4, 3, 4, requires_grad=True)
    before = images.detach().clone(), maps.detach().clone()
    policy = SAMix(mixer_of(), MaskAdjustConfig())
    info = PairInfo(ImageInfo(maps), ImageInfo(maps.flip(0)))
    out = mixed_pairs(policy, images, images.flip(0), 0.3, info=info)
    assert not out.images.requires_grad and not out.mask.requires_grad
    assert torch.equal(images, before[0]) and torch.equal(maps, before[1])


def test_lam_margin_is_plain_mixup():
    first, second = torch.randn(2, 2, 3, 6, 8)
    policy = SAMix(mixer_of(), MaskAdjustConfig(lam_margin=0.08))
    info = PairInfo(*(ImageInfo(maps) for maps in torch.randn(2, 2, 4, 3, 4)))
    out = mixed_pairs(policy, first, second, 0.95, info=info)
    torch.testing.assert_close(out.images, 0.95 * first + 0.05 * second)


def test_maps_are_needed():
    policy = SAMix(mixer_of(), MaskAdjustConfig())
    assert policy.requires == {"maps"}
    with pytest.raises(ValueError, match="maps"):
        mixed_pairs(policy, *torch.randn(2, 2, 3, 6, 8), 0.5)


def test_pairs_of_one_label_are_plain_mixup():
    """Labels below 0 are unknown: two of them are not alike."""
    policy = SAMix(mixer_of(), MaskAdjustConfig(mode="auto_label", margin=0.02))
    images, maps = torch.randn(5, 3, 6, 8), torch.randn(5, 4, 3, 4)
    index, labels = torch.tensor([1, 0, 3, 2, 4]), torch.tensor([7, 7, -1, -1, 0])

    def mixed(adjust, labels):
        policy.adjust = adjust
        return mixed_batch(policy, images, 0.3, index=index, info=ImageInfo(maps, labels))

    out = mixed(policy.adjust, labels)
    alike = torch.tensor([True, True, False, False, True])
    want = mixed(MaskAdjustConfig(margin=0.02), labels)
    torch.testing.assert_close(out.mask[alike], torch.full((3, 1, 6, 8), 0.3))
    torch.testing.assert_close(out.images[alike], (0.3 * images + 0.7 * images[index])[alike])
    assert torch.equal(out.images[~alike], want.images[~alike])
    assert (want.mask.flatten(1).std(1) > 0).all()


def test_labels_are_needed_for_their_mode_alone():
    policy = SAMix(mixer_of(), MaskAdjustConfig(mode="auto_label"))
    assert policy.requires == {"maps", "labels"}
    info = PairInfo(*(ImageInfo(maps) for maps in torch.randn(2, 2, 4, 3, 4)))
    with pytest.raises(ValueError, match="auto_label"):
        mixed_pairs(policy, *torch.randn(2, 2, 3, 6, 8), 0.5, info=info)


def test_draws_come_from_the_generator():
    """The k of the lam rescaling and sigma of the smoothing: equal for equal generators, else not."""
    policy = SAMix(mixer_of(rescale_k=[0.0, 10.0]), MaskAdjustConfig(mode="off", smooth_sigma=2.0)).eval()
    first, second = torch.randn(2, 2, 3, 6, 8)
    info = PairInfo(*(ImageInfo(maps) for maps in torch.randn(2, 2, 4, 3, 4)))
    masks = [mixed_pairs(policy, first, second, 0.3, seed, info=info).mask for seed in (0, 0, 1)]
    assert torch.equal(masks[0], masks[1]) and not torch.allclose(masks[0], masks[2])
