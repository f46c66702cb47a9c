"""How the Mixer is trained, in any scenario (SAMix, training step)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from samix.config.mixing import MixerTrainingConfig
from samix.core.schedules import annealed
from samix.core.step import StepContext
from samix.mixup.base import blend, draw_lam
from samix.mixup.mixer.masks import mask_loss
from samix.mixup.mixer.mixer import Mixer
from samix.mixup.pairing import Pairing
from samix.objectives import EtaBalanced, Objective, eta_balanced, sigmoid_negweight

AUXILIARY_WEIGHT = 0.5
"""Of the local term in loss: global_aux_local at the start of training (released SSL code)."""


class ParentInputs(NamedTuple):
    """One of the two roles of parents, in the order of the batch.

    images (N, 3, H, W); maps (N, C, h, w) of the teacher; targets, anything that a pairing can permute.
    """

    images: Tensor
    maps: Tensor | None
    targets: Any


class MixerStep(NamedTuple):
    """Loss of the Mixer with gradient, what the encoder made of its images, and metrics without gradient.

    encoded is None in a step that has the mask loss alone. `lam` is that of this branch; the encoder's branch
    has its own.
    """

    loss: Tensor
    encoded: Any
    lam: float
    metrics: dict[str, Tensor]


@dataclass(frozen=True)
class Critic:
    """Frozen networks that stay in the graph: images -> encoded -> outputs, scored by the objective."""

    encode: Callable[[Tensor], Any]
    outputs_of: Callable[[Any], Tensor]
    objective: Objective


def mixer_step(
    mixer: Mixer,
    critic: Critic,
    parents: tuple[ParentInputs, ParentInputs],
    pairing: Pairing,
    config: MixerTrainingConfig,
    ctx: StepContext,
) -> MixerStep | None:
    """Mask, mix, score: the classification loss plus beta times the mask loss, on the Mixer's own pairs.

    parents: first and second ones, the latter to be permuted by `pairing`, which serves images, maps and
    targets alike. The mask is not adjusted here: that is for the encoder's.
    Returns: None in a step in which the Mixer is not trained.
    """
    trained = is_trained(config, ctx)
    if not trained and not config.switch_off_keeps_mask_loss:
        return None
    lam = draw_lam(config.alpha, ctx.numpy_generator("lam_mixer"))
    first, second = parents[0], pairing.of(parents[1])
    height, width = first.images.shape[-2:]
    mask = mixer(first.maps, second.maps, lam, (height, width), ctx.numpy_generator("mixer")).mask
    penalty = mask_loss(mask, lam, config.mask_loss)
    schedule, start = config.mask_loss.schedule, config.mask_loss.weight
    loss = annealed(schedule, start, ctx.step, ctx.total_steps) * penalty
    pixels = mask.detach().flatten(1)
    metrics = {
        "mask_loss": penalty.detach(),
        "mask_error": (pixels.mean(1) - lam).abs().mean(),
        "mask_variance": pixels.var(1, correction=0).mean(),
    }
    if not trained:
        return MixerStep(loss, None, lam, metrics)
    encoded = critic.encode(blend(first.images, second.images, mask))
    outputs, targets = critic.outputs_of(encoded), (first.targets, second.targets)
    terms = _classification(critic, outputs, targets, lam, config, ctx)
    metrics |= {"mixer_local": terms.local_term.detach(), "mixer_global": terms.global_term.detach()}
    return MixerStep(loss + terms.loss, encoded, lam, metrics)


def is_trained(config: MixerTrainingConfig, ctx: StepContext) -> bool:
    """Whether the Mixer learns in this step: interval, then switch_off (SAMix, switching the Mixer off).

    Equal on all ranks; decided on the host.
    """
    if ctx.step % config.interval:
        return False
    if config.switch_off == 0:
        return True
    chance = annealed(config.switch_off_schedule, config.switch_off, ctx.step, ctx.total_steps)
    return ctx.shared_numpy_generator("switch_off").random() < chance


def _classification(
    critic: Critic,
    outputs: Tensor,
    targets: tuple[Any, Any],
    lam: float,
    config: MixerTrainingConfig,
    ctx: StepContext,
) -> EtaBalanced:
    """The loss that `config.loss` names, and its local and global terms."""
    eta = config.eta if config.loss == "eta_balanced" else 1.0
    local = {"eta_balanced": 1.0, "global_aux_local": _auxiliary_weight(ctx)}.get(config.loss, 0.0)
    terms = eta_balanced(critic.objective, outputs, targets, lam, eta=eta, local=local)
    if config.loss == "sigmoid_negweight":
        return terms._replace(loss=sigmoid_negweight(outputs, *targets, lam, eta=config.eta))
    return terms


def _auxiliary_weight(ctx: StepContext) -> float:
    return annealed("cosine", AUXILIARY_WEIGHT, ctx.step, ctx.total_steps)
