"""Mix a batch in a training loop of one's own, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samix.mixup.base import (
    NOTHING,
    Mixed,
    Policy,
    Ratio,
    Seen,
    draw_lam,
    pair_and_mix,
)
from samix.mixup.pairing import Pairing, draw_local_pairing
from samix.objectives import ClassObjective, MixedCE, MixedCriterion


@dataclass(frozen=True)
class MixedBatch:
    """Mixed images (N, 3, H, W), who was mixed with whom, and the weight of the first parents' labels."""

    mixed: Mixed
    pairing: Pairing

    @property
    def images(self) -> Tensor:
        """The mixed images."""
        return self.mixed.images

    def loss(self, outputs: Tensor, targets: Any, criterion: MixedCriterion | None = None) -> Tensor:
        """Loss of the network's outputs for the mixed images, a scalar.

        Args: targets, those of the batch before mixing, such as labels (N,); criterion, what outputs are held
        to, None: the mixed cross-entropy of logits (N, C).
        """
        criterion = criterion or MixedCE(ClassObjective())
        return mixed_term(criterion, outputs, self.mixed, (targets, targets), self.pairing)


def mix_batch(
    policy: Policy,
    images: Tensor,
    generator: np.random.Generator,
    *,
    alpha: float = 1.0,
    lam: Ratio | None = None,
    seen: Seen = NOTHING,
) -> MixedBatch:
    """Pair the images of a batch (N, 3, H, W), N >= 2, draw lam ~ Beta(alpha, alpha), and mix.

    Nothing but `generator` decides what is drawn. lam: takes the place of the drawn one. `seen`: what the
    policy needs to know of the images beside their pixels (`policy.needs`); a `Host` finds it, and mixes
    features. Raises: ValueError for a single image.
    """
    order = torch.Generator().manual_seed(int(generator.integers(2**63)))
    if lam is None:
        lam = draw_lam(alpha, generator)
    policy, lam = policy.drawn(lam, generator)
    draw = lambda: draw_local_pairing(len(images), order, images.device, no_repeat=True)  # noqa: E731
    return MixedBatch(*pair_and_mix(policy, images, draw, lam, generator=generator, seen=seen))


def mixed_term(
    criterion: MixedCriterion, outputs: Tensor, mixed: Mixed, targets: tuple[Any, Any], pairing: Pairing
) -> Tensor:
    """The loss of mixed images, a scalar.

    Args: targets of the first parents, and those that the second parents' are paired from, both in the order
    of the batch.
    """
    first, second = targets
    if mixed.parents is None:
        return criterion(outputs, first, pairing.of(second), mixed.lam, mixed.lam_second)
    parts = []
    for rows, share in zip(mixed.parents.index, mixed.parents.shares, strict=True):
        own = Pairing(rows, everywhere=False).of(first)
        parts.append(criterion(outputs, own, own, share, torch.zeros_like(share)))
    return torch.stack(parts).sum()
