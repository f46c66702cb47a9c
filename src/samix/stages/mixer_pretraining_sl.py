"""Stage mixer_pretraining_sl: the Mixer, trained online under labels and kept with its encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samix.config.mixing import MixerTrainingConfig, PolicyConfig
from samix.config.settings import Settings
from samix.stages.mixer_pretraining import DETAILS, PICTURES, STEPS
from samix.stages.stage import Stage, Task, Upstream

if TYPE_CHECKING:
    from samix.data import Images


def pretrain_mixer(settings: Settings, images: Images, _: Upstream, seed: int) -> Any:
    """Train SAMix online under labels; the result holds the Mixer and the encoder that it understands."""
    from samix.jobs import supervised
    from samix.jobs.build import mixer_along

    config = settings.mixer_pretraining_sl
    policy = PolicyConfig(name="samix", alpha=config.alpha)
    return supervised.pretrain_mixer, supervised.SupervisedJob(
        label="mixer_pretraining_sl",
        seed=seed,
        training=settings.training,
        images=images,
        backbone=settings.model.backbone,
        supervised=settings.supervised,
        epochs=config.epochs,
        policy=policy,
        mixer=mixer_along(policy, MixerTrainingConfig, config),
    )


MIXER_PRETRAINING_SL = Stage(
    "mixer_pretraining_sl",
    sections=("mixer_pretraining_sl", "supervised", "model", "training"),
    tasks=(Task("pretrain_mixer", "mixer_weights", "mixer", pretrain_mixer),),
    steps=STEPS,
    pictures=PICTURES,
    details=DETAILS,
)
