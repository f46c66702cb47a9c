"""How the Mixer is trained, in any scenario (SAMix, training step)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from samix.config.mixing import MixerTrainingConfig
from samix.core.schedules import mask_loss_weight
from samix.core.step import StepContext
from samix.mixup.base import Guides, Pairing, blend, draw_lam, draw_pairing
from samix.mixup.mixer.masks import mask_loss
from samix.mixup.mixer.mixer import Mixer
from samix.objectives import Objective, eta_balanced


@dataclass(frozen=True)
class MixerStep:
    """Loss of the Mixer with gradient, what the encoder made of its images, and metrics without gradient.

    `pairing` and `lam` are those of this branch; the encoder's branch has its own.
    """

    loss: Tensor
    encoded: Any
    pairing: Pairing
    lam: float
    metrics: dict[str, Tensor]


@dataclass(frozen=True)
class Judge:
    """Frozen networks that stay in the graph: images -> encoded -> outputs, held to `targets`."""

    encode: Callable[[Tensor], Any]
    read: Callable[[Any], Tensor]
    objective: Objective
    targets: Any


def mixer_step(
    mixer: Mixer,
    judge: Judge,
    images: Tensor,
    maps: Tensor,
    config: MixerTrainingConfig,
    ctx: StepContext,
) -> MixerStep:
    """Mask, mix, judge: eta-balanced loss plus beta times the mask loss, on the Mixer's own pairs.

    Args: images (N, 3, H, W) and the momentum encoder's maps of them (N, C, h, w), without gradient.
    One permutation serves maps, images and targets. The mask is not adjusted here: that is for the encoder's.
    """
    pairing = draw_pairing(len(images), ctx.shared_generator("pairing_mixer"), images.device)
    lam = draw_lam(config.alpha, ctx.numpy_generator("lam_mixer"))
    height, width = images.shape[-2:]
    guides = Guides(maps, pairing.of(maps))
    mask = mixer(guides.first, guides.second, lam, (height, width)).mask
    encoded = judge.encode(blend(images, pairing.of(images), mask))
    partners = pairing.of(judge.targets)
    terms = eta_balanced(judge.objective, judge.read(encoded), judge.targets, partners, lam, eta=config.eta)
    penalty = mask_loss(mask, lam, config.mask_loss)
    beta = mask_loss_weight(config.mask_loss.schedule, config.mask_loss.weight, ctx.step, ctx.total_steps)
    pixels = mask.detach().flatten(1)
    metrics = {
        "mixer_local": terms.local_term.detach(),
        "mixer_global": terms.global_term.detach(),
        "mask_loss": penalty.detach(),
        "mask_error": (pixels.mean(1) - lam).abs().mean(),
        "mask_variance": pixels.var(1, correction=0).mean(),
    }
    return MixerStep(terms.loss + beta * penalty, encoded, pairing, lam, metrics)
