"""Nodes of the stage mixer_pretraining."""

from __future__ import annotations

from typing import Any

from samix.config.mixing import PolicyConfig
from samix.config.ssl import ModelConfig
from samix.config.stages import MixerPretrainingConfig, PseudoLabelsConfig
from samix.config.training import TrainingConfig
from samix.core.weights import WeightsFile
from samix.pipelines.frames import DataFrame
from samix.pipelines.jobs import job_fields, label_inputs


def pretrain_mixer(
    card: dict[str, Any],
    manifest: DataFrame,
    pseudo_labels: DataFrame,
    encoder: WeightsFile,
    config: MixerPretrainingConfig,
    clusters: PseudoLabelsConfig,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
) -> WeightsFile:
    """Train SAMix online; the bundle holds the Mixer and the encoder whose maps it understands."""
    from samix.jobs import moco
    from samix.training import run_job

    policy = PolicyConfig(name="samix", alpha=config.alpha)
    inputs: dict[str, Any] = {
        "card": card,
        "manifest": manifest,
        "model": model,
        "epochs": config.epochs,
        "policy": policy,
        "start": encoder if config.start == "pseudo_labels" else None,
        "mixer": config,
        **label_inputs(policy, config, None, pseudo_labels, clusters),
    }
    fields = job_fields("mixer_pretraining", "mixer", training, seed, **inputs)
    return run_job(moco.pretrain_mixer, moco.MoCoJob(**fields, **inputs))


def score_mixer(bundle: WeightsFile) -> tuple[dict[str, float], Any]:
    """Figures at the end of the training, and curves."""
    from samix.analysis.curves import curves_figure

    history = bundle.metadata["history"]
    # steps without the Mixer's training lack its terms
    keys = ["mixer_local", "mixer_global", "mask_error", "mask_variance", "loss"]
    last = {key: next(row[key] for row in reversed(history) if key in row) for key in keys}
    metrics = {f"mixer.{key.removeprefix('mixer_')}": value for key, value in last.items()}
    return metrics, curves_figure({"SAMix": history}, keys[:4])


def draw_masks(bundle: WeightsFile, card: dict[str, Any], manifest: DataFrame) -> tuple[Any, Any]:
    """Masks over lam and what they are made of, for pairs of test images of different classes."""
    from samix.analysis.masks import attention_sheet, mask_sheet, pairs_of_classes
    from samix.data import Normalize, open_images
    from samix.mixup import SAMixP

    policy = SAMixP.from_file(bundle.path)
    normalize = Normalize.for_data(card)
    first, second = pairs_of_classes(open_images(card, manifest, "test"), pairs=5)
    return mask_sheet(policy, first, second, normalize), attention_sheet(policy, first, second, normalize)
