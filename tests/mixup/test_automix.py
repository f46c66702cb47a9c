"""AutoMix as a setting of the Mixer."""

import torch

from samix.config.mixing import MaskAdjustConfig, MixerTrainingConfig, PolicyConfig, SSLMixerTrainingConfig
from samix.config.networks import MixerConfig
from samix.config.supervised import SupervisedMixerConfig
from samix.jobs.build import make_policy, mixer_along
from samix.methods.mixer_training import MixerTraining
from samix.mixup import AutoMix, Mixer, SAMix
from samix.mixup.policies.automix import automix_config


def test_its_block_is_the_papers():
    """One convolution for queries and keys, one for content, no lam in the maps; nothing else."""
    config = automix_config(SupervisedMixerConfig())
    mixer = Mixer(8, config.mixer)
    shapes = {name: tuple(parameter.shape) for name, parameter in mixer.named_parameters()}
    assert shapes == {
        "query.weight": (4, 8, 1, 1),
        "query.bias": (4,),
        "content.0.weight": (1, 8, 1, 1),
        "content.0.bias": (1,),
    }
    assert (config.loss, config.mask_loss.mode) == ("global", "l1")
    assert (config.mask_loss.weight, config.mask_loss.margin) == (0.1, 0.1)
    assert config.mask_adjust.lam_margin == 0.08


def test_a_lam_channel_is_kept():
    config = automix_config(SupervisedMixerConfig(mixer=MixerConfig(encoding="concat")))
    assert Mixer(8, config.mixer).query.weight.shape == (4, 9, 1, 1)


def test_values_of_its_masks_by_hand(float64):
    """sigmoid of nearest-upsampled attention of z_i's queries to z_j's keys, times z_j's content."""
    torch.manual_seed(0)
    mixer = Mixer(4, automix_config(SupervisedMixerConfig(mixer=MixerConfig(init_std=1.0))).mixer)
    first, second = torch.randn(2, 1, 4, 2, 3)
    got = mixer(first, second, mixer.draw(None, 0.3), (4, 6)).mask
    q, k = (mixer.query(x).flatten(2)[0] for x in (first, second))
    v = mixer.content(second).flatten()
    want = torch.zeros(4, 6)
    for row in range(4):
        for column in range(6):
            place = (row // 2) * 3 + column // 2
            weights = ((q[:, place] @ k) / 2**0.5).softmax(0)
            want[row, column] = 1 - torch.sigmoid(weights @ v)
    torch.testing.assert_close(got[0, 0], want)


def test_policies_say_how_their_mixer_learns():
    stage = SupervisedMixerConfig(alpha=4.0)
    assert mixer_along(PolicyConfig(name="cutmix"), MixerTrainingConfig, stage) is None
    assert mixer_along(PolicyConfig(name="samix_p"), MixerTrainingConfig, stage) is None
    own = mixer_along(PolicyConfig(name="samix", alpha=1.0), MixerTrainingConfig, stage)
    assert own.alpha == 1.0 and own.mask_adjust == stage.mask_adjust and type(own) is MixerTrainingConfig
    auto = mixer_along(PolicyConfig(name="automix", alpha=2.0), MixerTrainingConfig, stage)
    assert auto.alpha == 2.0 and auto.mixer.attention == "separate" and type(auto) is MixerTrainingConfig
    assert (
        type(mixer_along(PolicyConfig(name="automix"), SSLMixerTrainingConfig, SSLMixerTrainingConfig()))
        is SSLMixerTrainingConfig
    )


def test_the_job_builds_the_policy_of_its_name():
    training = MixerTraining(Mixer(4, MixerConfig()), SupervisedMixerConfig())
    for name, kind in (("automix", AutoMix), ("samix", SAMix)):
        policy = make_policy(
            PolicyConfig(name=name), mixer=training, pretrained_mixer=None, images_use=([0.0] * 3, [1.0] * 3)
        )
        assert type(policy) is kind and policy.adjust == MaskAdjustConfig(mode="off", lam_margin=0.08)
