"""How the Mixer is trained, in any scenario (SAMix, training step)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from samix.config.mixing import MixerTrainingConfig
from samix.core.schedules import annealed
from samix.core.step import StepContext
from samix.mixup.lam import draw_lam
from samix.mixup.mixer.masks import mask_loss
from samix.mixup.mixer.mixer import Mixer, MixerDraws
from samix.mixup.pairing import Pairing
from samix.mixup.policy import blend
from samix.objectives import EtaBalanced, Objective, eta_balanced, sigmoid_negweight

AUXILIARY_WEIGHT = 0.5
"""Weight of the local term in loss: global_aux_local at the start of training (released SSL code)."""


class ParentInputs(NamedTuple):
    """One of the two roles of parents, in the order of the batch.

    images (N, 3, H, W); maps (N, C, h, w) of the momentum encoder; targets, anything that a pairing can
    permute.
    """

    images: Tensor
    maps: Tensor | None
    targets: Any


class MixerStepDraws(NamedTuple):
    """Draws and scheduled numbers of a step of the Mixer's training.

    trained: whether it learns in this step, which selects the graph; mixer, its draws, None in a step without
    any loss; pairing of its own; mask_weight, beta of this step; auxiliary, weight of the local term in loss:
    global_aux_local; both are scalars.
    """

    trained: bool
    mixer: MixerDraws | None
    pairing: Pairing
    mask_weight: Tensor
    auxiliary: Tensor


class MixerStep(NamedTuple):
    """Loss of the Mixer with gradient, the encoded mixed images, and metrics without gradient.

    encoded is None in a step with the mask loss alone. weights (2,), lam and 1 - lam of this branch; the
    encoder's branch has its own.
    """

    loss: Tensor
    encoded: Any
    weights: Tensor
    metrics: dict[str, Tensor]


@dataclass(frozen=True)
class Critic:
    """Frozen networks that stay in the graph: images -> encoded -> outputs, scored by the objective."""

    encode: Callable[[Tensor], Any]
    outputs_of: Callable[[Any], Tensor]
    objective: Objective


def draw_mixer_step(
    mixer: Mixer, config: MixerTrainingConfig, ctx: StepContext, pairing: Pairing
) -> MixerStepDraws:
    """Draws of the Mixer's training, equal on all ranks in what selects the graph."""
    trained, draws = is_trained(config, ctx), None
    if trained or config.switch_off_keeps_mask_loss:
        lam = draw_lam(config.alpha, ctx.numpy_generator("lam_mixer"))
        draws = mixer.draw(ctx.numpy_generator("mixer"), lam)
    beta = annealed(config.mask_loss.schedule, config.mask_loss.weight, ctx.step, ctx.total_steps)
    auxiliary = annealed("cosine", AUXILIARY_WEIGHT, ctx.step, ctx.total_steps)
    return MixerStepDraws(trained, draws, pairing, torch.tensor(beta), torch.tensor(auxiliary))


def mixer_step(
    mixer: Mixer,
    critic: Critic,
    parents: tuple[ParentInputs, ParentInputs],
    draws: MixerStepDraws,
    config: MixerTrainingConfig,
) -> MixerStep | None:
    """Mask, mix, score: the classification loss plus beta times the mask loss, on the Mixer's own pairs.

    parents: the first and the second ones, the latter before the pairing permutes their images, maps and
    targets. The mask is not adjusted here; only that of the encoder's branch is.
    Returns: None in a step without a loss for the Mixer.
    """
    if draws.mixer is None:
        return None
    first, second = parents[0], draws.pairing.select(parents[1])
    height, width = first.images.shape[-2:]
    mask = mixer(first.maps, second.maps, draws.mixer, (height, width)).mask
    weights = draws.mixer.weights
    penalty = mask_loss(mask, weights[0], config.mask_loss)
    loss = draws.mask_weight * penalty
    pixels = mask.detach().flatten(1)
    metrics = {
        "mask_loss": penalty.detach(),
        "mask_error": (pixels.mean(1) - weights[0]).abs().mean(),
        "mask_variance": pixels.var(1, correction=0).mean(),
    }
    if not draws.trained:
        return MixerStep(loss, None, weights, metrics)
    encoded = critic.encode(blend(first.images, second.images, mask))
    terms = _classification(critic, encoded, (first.targets, second.targets), draws, config)
    metrics |= {"mixer_local": terms.local_term.detach(), "mixer_global": terms.global_term.detach()}
    return MixerStep(loss + terms.loss, encoded, weights, metrics)


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
    encoded: Any,
    targets: tuple[Any, Any],
    draws: MixerStepDraws,
    config: MixerTrainingConfig,
) -> EtaBalanced:
    """The loss that `config.loss` names, and its local and global terms."""
    assert draws.mixer is not None  # the step has a loss
    outputs, weights = critic.outputs_of(encoded), draws.mixer.weights
    eta = config.eta if config.loss == "eta_balanced" else 1.0
    factors: dict[str, float | Tensor] = {"eta_balanced": 1.0, "global_aux_local": draws.auxiliary}
    local = factors.get(config.loss, 0.0)
    terms = eta_balanced(critic.objective, outputs, targets, weights, eta=eta, local=local)
    if config.loss == "sigmoid_negweight":
        return terms._replace(loss=sigmoid_negweight(outputs, *targets, weights, eta=config.eta))
    return terms
