"""SAMix-P: there and back through a file, frozen, and right about normalisation."""

import pytest
import torch

from helpers.mixing import mixed_batch
from helpers.steps import step_of
from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig, ProjectorConfig
from samix.config.ssl import MoCoConfig
from samix.core.errors import DataError
from samix.core.step import StepContext
from samix.core.weights import save_weights
from samix.data import TwoViews
from samix.methods import MoCo, SelfSupervised
from samix.mixup import ImageInfo, Mixer, SAMix, SAMixP
from samix.mixup.policies.samix_p import pretrained_mixer_metadata, pretrained_mixer_tensors
from samix.nn import Encoder, build_backbone

BACKBONE = BackboneConfig(channels=(4, 4, 6, 8))
MIXER = MixerConfig(gamma="fixed", rescale_k=0.25, dropout=0.5, activation="relu")
ADJUST = MaskAdjustConfig(mode="auto", margin=0.02)
TRAINED_ON = ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
INDEX = torch.tensor([1, 2, 3, 0])


def parts():
    """Backbone and Mixer with statistics and weights of their own."""
    torch.manual_seed(0)
    backbone, mixer = build_backbone(BACKBONE), Mixer(6, MIXER)
    for parameter in [*backbone.parameters(), *mixer.parameters()]:
        parameter.data += 0.3 * torch.randn_like(parameter)
    for module in [*backbone.modules(), *mixer.modules()]:
        if hasattr(module, "running_mean"):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return backbone, mixer


@pytest.fixture
def path(tmp_path):
    backbone, mixer = parts()
    about = pretrained_mixer_metadata(BACKBONE, MIXER, ADJUST, TRAINED_ON)
    return save_weights(tmp_path / "mixer.safetensors", pretrained_mixer_tensors(backbone, mixer), about).path


def mixed_by(policy, images, lam=0.3, **known):
    return mixed_batch(policy, images, lam, index=INDEX, info=ImageInfo(**known))


def test_round_trip(path):
    """The same mixes as the networks that were saved give, in eval mode."""
    backbone, mixer = (part.eval() for part in parts())
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        maps = backbone.tap_map(images)
    want = mixed_by(SAMix(mixer, ADJUST), images, maps=maps)
    policy = SAMixP.from_file(path)
    out = mixed_by(policy, images)
    assert torch.equal(out.images, want.images) and torch.equal(out.mask, want.mask)
    assert policy.mixer.config == MIXER and policy.adjust == ADJUST
    assert out.mask.std() > 0


def test_maps_of_the_host_are_not_wanted(path):
    policy, images = SAMixP.from_file(path), torch.randn(4, 3, 16, 16)
    assert policy.requires == frozenset()
    foreign = torch.randn(4, 99, 2, 2)
    assert torch.equal(mixed_by(policy, images, maps=foreign).images, mixed_by(policy, images).images)


def test_labels_of_the_host_are_kept(tmp_path):
    """Mode auto_label wants them, whoever sees the maps."""
    adjust = MaskAdjustConfig(mode="auto_label")
    about = pretrained_mixer_metadata(BACKBONE, MIXER, adjust, TRAINED_ON)
    path = save_weights(tmp_path / "labels.safetensors", pretrained_mixer_tensors(*parts()), about).path
    policy, images = SAMixP.from_file(path), torch.randn(4, 3, 16, 16)
    assert policy.requires == {"labels"} and policy.adjust == adjust
    out = mixed_by(policy, images, labels=torch.tensor([3, 3, 5, 6])).mask
    want = mixed_by(policy, images, labels=torch.tensor([3, 4, 5, 6])).mask
    torch.testing.assert_close(out[0], torch.full((1, 16, 16), 0.3))
    assert torch.equal(out[1:], want[1:]) and want[0].std() > 0


def test_encoder_stops_at_its_tap(path):
    policy = SAMixP.from_file(path)

    def forbidden(*_):
        raise AssertionError("the last stage ran")

    policy.backbone.net.layer4.register_forward_hook(forbidden)
    mixed_by(policy, torch.randn(4, 3, 16, 16))


def test_images_are_renormalised_for_the_encoder(float64, path):
    """The encoder's input is normalised as in its training; mixed images keep their own normalisation."""
    pixels = torch.rand(4, 3, 16, 16)
    uses = ([0.1, 0.6, 0.5], [0.5, 0.3, 0.9])

    def normalised(mean, std):
        return torch.stack([(pixels[:, c] - mean[c]) / std[c] for c in range(3)], 1)

    own, other = SAMixP.from_file(path).double(), SAMixP.from_file(path, images_use=uses).double()
    maps = own.info_from(normalised(*TRAINED_ON)).maps
    torch.testing.assert_close(maps, own.backbone.tap_map(normalised(*TRAINED_ON)))
    torch.testing.assert_close(other.info_from(normalised(*uses)).maps, maps)
    assert not torch.allclose(other.info_from(normalised(*TRAINED_ON)).maps, maps)
    mask, images = mixed_by(own, normalised(*TRAINED_ON)).mask, normalised(*uses)
    out = mixed_by(other, images)
    torch.testing.assert_close(out.mask, mask)
    torch.testing.assert_close(out.images, mask * images + (1 - mask) * images[INDEX])


def test_nothing_of_it_changes_while_a_host_trains(path):
    policy = SAMixP.from_file(path, images_use=([0.0] * 3, [1.0] * 3))
    config = MoCoConfig(batch_size=4, queue=8, projector=ProjectorConfig(hidden=8, out=6))
    # another width than the pretrained Mixer's: the network that is trained may be anything
    encoder = Encoder(build_backbone(BackboneConfig(channels=(4, 4, 4, 4))), config.projector)
    host = SelfSupervised(MoCo(encoder, config, seed=0), policy=policy).train()
    before = {name: t.clone() for name, t in policy.state_dict().items()}
    optimizer = torch.optim.SGD(host.parameters(), lr=0.1, weight_decay=0.1)
    start = encoder.projector[0].weight.clone()
    for step in range(3):
        batch = TwoViews(
            torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16), torch.arange(4), torch.zeros(4)
        )
        ctx = StepContext(seed=0, step=step, total_steps=3, epoch=0)
        step_of(host, batch, ctx)["loss"].backward()
        optimizer.step()
        host.after_step(ctx)
    assert not torch.equal(encoder.projector[0].weight, start)
    assert all(torch.equal(t, before[name]) for name, t in policy.state_dict().items())
    assert not any(module.training for module in policy.modules())
    assert not any(p.requires_grad for p in policy.parameters())
    owned = {
        id(p) for s in host.parameter_sets().values() for module in s.modules for p in module.parameters()
    }
    assert not owned & {id(p) for p in policy.parameters()}


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_inspection_shows_the_mask_before_the_adjusting(path, lam):
    """Without an adjustment it is the mask of the mix, with the images renormalised."""
    policy = SAMixP.from_file(path, images_use=([0.1, 0.6, 0.5], [0.5, 0.3, 0.9]))
    images = torch.randn(4, 3, 16, 16)
    found = policy.inspect(images, images[INDEX], lam)
    assert not torch.equal(found.mask, mixed_by(policy, images, lam).mask)
    policy.adjust = MaskAdjustConfig(mode="off")
    assert torch.equal(found.mask, mixed_by(policy, images, lam).mask)
    assert found.attention.shape[0] == found.content.shape[0] == 4 and not found.mask.requires_grad


def test_a_file_under_its_name_of_earlier_versions_is_read(tmp_path, path):
    want = SAMixP.from_file(path).state_dict()
    former = path.rename(tmp_path / "bundle.safetensors")
    for name in (path, former, str(path)):
        found = SAMixP.from_file(name).state_dict()
        assert all(torch.equal(found[key], value) for key, value in want.items())
    backbone, mixer = parts()  # a newer file counts, if there is one
    about = pretrained_mixer_metadata(BACKBONE, MIXER, MaskAdjustConfig(mode="off"), TRAINED_ON)
    save_weights(path, pretrained_mixer_tensors(backbone, mixer), about)
    assert SAMixP.from_file(path).adjust.mode == "off"
    assert SAMixP.from_file(former).adjust == ADJUST


def test_wrong_files_are_named(tmp_path):
    missing = tmp_path / "missing.safetensors"
    other = save_weights(tmp_path / "other.safetensors", {"a": torch.ones(1)}, {"kind": "backbone"}).path
    text = tmp_path / "text.safetensors"
    text.write_text("no weights")
    for path, message in ((missing, "missing"), (other, "other.*'backbone'"), (text, "text")):
        with pytest.raises(DataError, match=message):
            SAMixP.from_file(path)


def test_an_encoder_without_its_mixer_is_refused(tmp_path):
    tensors = {f"backbone.{name}": t for name, t in parts()[0].state_dict().items()}
    about = pretrained_mixer_metadata(BACKBONE, MIXER, ADJUST, TRAINED_ON)
    path = save_weights(tmp_path / "half.safetensors", tensors, about).path
    with pytest.raises(DataError, match="half.*'mixer.'"):
        SAMixP.from_file(path)
