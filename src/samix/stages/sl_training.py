"""Stage sl_training: the supervised training of the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samix.config.mixing import MixerTrainingConfig
from samix.config.settings import Settings
from samix.stages.policies import policy_without_mixer
from samix.stages.stage import Stage, Step, Task, Upstream

if TYPE_CHECKING:
    from samix.core.weights import WeightsFile
    from samix.data import Images

PRETRAINED_MIXER = "mixer_pretraining_sl.mixer_weights"


def no_mixer(settings: Settings) -> str | None:
    """See `Reason`: of the frozen Mixer."""
    return policy_without_mixer(settings.sl_training.policy)


def train_classifier(settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    """Train under labels; samix, automix and adautomix train a new Mixer along."""
    from samix.jobs import supervised
    from samix.jobs.build import mixer_along

    policy = settings.sl_training.policy
    return supervised.train_classifier, supervised.SupervisedJob(
        label="sl_training",
        seed=seed,
        training=settings.training,
        images=images,
        backbone=settings.model.backbone,
        supervised=settings.supervised,
        epochs=settings.sl_training.epochs,
        policy=policy,
        mixer=mixer_along(policy, MixerTrainingConfig, settings.mixer_pretraining_sl),
        pretrained_mixer=upstream.get(PRETRAINED_MIXER),
    )


def check(settings: Settings, card: Mapping[str, Any]) -> None:
    """The batch against the number of images, the policy against backbone and loss; see `Stage`."""
    from samix.jobs.checks import check_mixed_loss, check_policy, check_shares, check_supervised

    policy = settings.sl_training.policy
    check_supervised(settings.supervised, card["counts"]["train"])
    check_shares("supervised", settings.supervised.batch_size, settings.training)
    check_policy("sl_training", policy, settings.model.backbone, card, classes=True)
    check_mixed_loss(policy, settings.supervised)


def figures(classifier: WeightsFile) -> dict[str, float]:
    """Top-1 and top-5 (medians of the last 10 epochs) of every head and network, in %.

    sl.top1 is the headline: momentum network before the online one, mixed head before the plain one.
    """
    found, headline = classifier.metadata["figures"], classifier.metadata["headline"]
    metrics = {"sl.top1": found[headline]["median"], "sl.top1_last": found[headline]["last"]}
    return metrics | {f"sl.{key.removeprefix('val_')}": value["median"] for key, value in found.items()}


def score_classifier(classifier: WeightsFile) -> tuple[dict[str, float], Any]:
    """The figures, and curves."""
    from samix.analysis.curves import curves_figure

    about = classifier.metadata
    shown = ["loss", *(key for key in about["figures"] if key.startswith("val_top1"))]
    return figures(classifier), curves_figure({"training": about["history"]}, [*shown, "lr/encoder"])


SL_TRAINING = Stage(
    "sl_training",
    sections=("sl_training", "mixer_pretraining_sl", "supervised", "model", "training"),
    tasks=(
        Task(
            "train_classifier",
            "classifier_weights",
            "sl",
            train_classifier,
            needs={PRETRAINED_MIXER: no_mixer},
        ),
    ),
    steps=(
        Step("score_classifier", score_classifier, ("classifier_weights",), ("metrics", "curves_picture")),
    ),
    figures=figures,
    check=check,
    details={"curves_picture": "Supervised training"},
)
