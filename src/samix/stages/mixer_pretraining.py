"""Stage mixer_pretraining: the Mixer, trained online by self-supervision and kept with its encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samix.config.mixing import PolicyConfig, SSLMixerTrainingConfig
from samix.config.settings import Settings
from samix.stages.stage import Stage, Step, Task, Upstream

if TYPE_CHECKING:
    from samix.core.weights import WeightsFile
    from samix.data import Images

LABELS, ENCODER = "pseudo_labels.labels", "pseudo_labels.encoder_weights"


def no_labels(settings: Settings) -> str | None:
    """See `Reason`: of the pseudo labels."""
    mixer = settings.mixer_pretraining
    if not mixer.uses_labels:
        return f"a Mixer with objective {mixer.objective} needs no labels"
    return "cluster.labels: true needs no pseudo labels" if mixer.cluster.labels == "true" else None


def no_encoder(settings: Settings) -> str | None:
    """See `Reason`: of the encoder that the clustering has trained."""
    start = settings.mixer_pretraining.start
    return None if start == "pseudo_labels" else f"start: {start} needs no encoder"


def label_fields(settings: Settings, upstream: Upstream) -> dict[str, Any]:
    """Fields of a job that uses pseudo labels; without them its result must not depend on their settings."""
    if LABELS not in upstream:
        return {}
    return {"pseudo_labels": upstream[LABELS], "clustering": settings.pseudo_labels.clustering}


def pretrain_mixer(settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    """Train SAMix online; the result holds the Mixer and the encoder whose maps it understands."""
    from samix.jobs import self_supervised
    from samix.jobs.build import mixer_along

    config = settings.mixer_pretraining
    policy = PolicyConfig(name="samix", alpha=config.alpha)
    return self_supervised.pretrain_mixer, self_supervised.SelfSupervisedJob(
        label="mixer_pretraining",
        seed=seed,
        training=settings.training,
        images=images,
        model=settings.model,
        epochs=config.epochs,
        policy=policy,
        start=upstream.get(ENCODER),
        mixer=mixer_along(policy, SSLMixerTrainingConfig, config),
        **label_fields(settings, upstream),
    )


def score_mixer(pretrained_mixer: WeightsFile) -> tuple[dict[str, float], Any]:
    """Figures at the end of the training, and curves."""
    from samix.analysis.curves import curves_figure

    history = pretrained_mixer.metadata["history"]
    # steps without the Mixer's training lack its terms
    keys = ["mixer_local", "mixer_global", "mask_error", "mask_variance", "loss"]
    last = {key: next(row[key] for row in reversed(history) if key in row) for key in keys}
    metrics = {f"mixer.{key.removeprefix('mixer_')}": value for key, value in last.items()}
    return metrics, curves_figure({"SAMix": history}, keys[:4])


def draw_masks(pretrained_mixer: WeightsFile, images: Images) -> tuple[Any, Any]:
    """Masks over lam and what they are made of, for pairs of test images of different classes."""
    from samix.analysis.masks import attention_sheet, mask_sheet, pairs_of_classes
    from samix.data import Normalize
    from samix.mixup import SAMixP

    policy = SAMixP.from_file(pretrained_mixer.path)
    normalize = Normalize.for_data(dict(images.card))
    first, second = pairs_of_classes(images.open("test"), pairs=5)
    return mask_sheet(policy, first, second, normalize), attention_sheet(policy, first, second, normalize)


STEPS = (
    Step("score_mixer", score_mixer, ("mixer_weights",), ("metrics", "curves_picture")),
    Step("draw_masks", draw_masks, ("mixer_weights", "images"), ("masks_picture", "attention_picture")),
)
PICTURES = {
    "masks_picture": "The trained Mixer: masks and mixed images over lam",
    "attention_picture": "Inside the Mixer: content and attention",
}
DETAILS = {"curves_picture": "Mixer pre-training"}

MIXER_PRETRAINING = Stage(
    "mixer_pretraining",
    sections=("mixer_pretraining", "pseudo_labels", "model", "training"),
    tasks=(
        Task(
            "pretrain_mixer",
            "mixer_weights",
            "mixer",
            pretrain_mixer,
            needs={LABELS: no_labels, ENCODER: no_encoder},
        ),
    ),
    steps=STEPS,
    pictures=PICTURES,
    details=DETAILS,
)
