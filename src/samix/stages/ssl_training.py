"""Stage ssl_training: the self-supervised training of the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samix.config.mixing import SSLMixerTrainingConfig
from samix.config.settings import Settings
from samix.stages import mixer_pretraining
from samix.stages.mixer_pretraining import LABELS, label_fields
from samix.stages.policies import policy_without_mixer, uses_mixer
from samix.stages.stage import Stage, Step, Task, Upstream

if TYPE_CHECKING:
    from samix.core.weights import WeightsFile
    from samix.data import Images

PRETRAINED_MIXER = "mixer_pretraining.mixer_weights"


def no_mixer(settings: Settings) -> str | None:
    """See `Reason`: of the frozen Mixer."""
    return policy_without_mixer(settings.ssl_training.policy)


def no_labels(settings: Settings) -> str | None:
    """See `Reason`: of the pseudo labels."""
    policy = settings.ssl_training.policy
    mixer = uses_mixer(policy)
    if mixer == "online":
        return mixer_pretraining.no_labels(settings)
    if mixer == "pretrained":
        needed = settings.mixer_pretraining.mask_adjust.mode == "auto_label"
    else:
        from samix.jobs.labels import uses_labels

        needed = uses_labels(policy, None, None)
    return None if needed else f"policy {policy.name} needs no pseudo labels"


def train_encoder(settings: Settings, images: Images, upstream: Upstream, seed: int) -> Any:
    """Train the method with the policy; samix and automix train a new Mixer along."""
    from samix.jobs import self_supervised
    from samix.jobs.build import mixer_along

    policy = settings.ssl_training.policy
    return self_supervised.train_encoder, self_supervised.SelfSupervisedJob(
        label="ssl_training",
        seed=seed,
        training=settings.training,
        images=images,
        model=settings.model,
        epochs=settings.ssl_training.epochs,
        policy=policy,
        mixer=mixer_along(policy, SSLMixerTrainingConfig, settings.mixer_pretraining),
        pretrained_mixer=upstream.get(PRETRAINED_MIXER),
        **label_fields(settings, upstream),
    )


def check(settings: Settings, card: Mapping[str, Any]) -> None:
    """Queue and batch against the number of images, the policy against the backbone; see `Stage`."""
    from samix.jobs.checks import check_policy, check_shares
    from samix.methods import METHODS

    method, config = METHODS[settings.model.method.name], settings.model.method_config
    method.check(config, card["counts"].get("unlabelled", card["counts"]["train"]))
    check_shares(method.section, config.batch_size, settings.training)
    policy, backbone = settings.ssl_training.policy, settings.model.backbone
    one_view = config.cross_view not in ("swap", "same_swap")
    check_policy("ssl_training", policy, backbone, card, classes=False, one_view=one_view)


def score_encoder(backbone: WeightsFile) -> tuple[dict[str, float], Any]:
    """Figures at the end of the training, and curves."""
    from samix.analysis.curves import curves_figure

    history = backbone.metadata["history"]
    keys = [key for key in ("loss", "loss_ssl", "loss_mixed", "queue_top1") if key in history[-1]]
    figure = curves_figure({"training": history}, [*keys, "lr/encoder"])
    return {f"ssl.{key}": history[-1][key] for key in keys}, figure


SSL_TRAINING = Stage(
    "ssl_training",
    sections=("ssl_training", "mixer_pretraining", "pseudo_labels", "model", "training"),
    tasks=(
        Task(
            "train_encoder",
            "backbone_weights",
            "ssl",
            train_encoder,
            needs={PRETRAINED_MIXER: no_mixer, LABELS: no_labels},
        ),
    ),
    steps=(Step("score_encoder", score_encoder, ("backbone_weights",), ("metrics", "curves_picture")),),
    check=check,
    details={"curves_picture": "Self-supervised training"},
)
