"""Mix a batch in a training loop of one's own, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samix.mixup.base import NOTHING, Mixed, Pairing, Policy, Seen, draw_lam, draw_local_pairing, mix
from samix.objectives import ClassObjective, Objective, mixed_loss


@dataclass(frozen=True)
class MixedBatch:
    """Mixed images (N, 3, H, W), who was mixed with whom, and the weight of the first parents' labels."""

    mixed: Mixed
    pairing: Pairing

    @property
    def images(self) -> Tensor:
        """The mixed images."""
        return self.mixed.images

    def loss(self, outputs: Tensor, targets: Any, objective: Objective | None = None) -> Tensor:
        """Loss of the network's outputs for the mixed images, a scalar.

        Args: targets, those of the batch before mixing, such as labels (N,); objective, what outputs are held
        to, None: cross-entropy of logits (N, C).
        """
        objective = objective or ClassObjective()
        mixed = self.mixed
        return mixed_loss(objective, outputs, targets, self.pairing.of(targets), mixed.lam, mixed.lam_second)


def mix_batch(
    policy: Policy,
    images: Tensor,
    generator: np.random.Generator,
    *,
    alpha: float = 1.0,
    seen: Seen = NOTHING,
) -> MixedBatch:
    """Pair the images of a batch (N, 3, H, W), N >= 2, draw lam ~ Beta(alpha, alpha), and mix.

    Nothing but `generator` decides what is drawn. `seen`: what the policy needs to know of the images beside
    their pixels (`policy.needs`). Raises: ValueError for a single image.
    """
    order = torch.Generator().manual_seed(int(generator.integers(2**63)))
    pairing = draw_local_pairing(len(images), order, images.device, no_repeat=True)
    lam = draw_lam(alpha, generator)
    return MixedBatch(mix(policy, images, pairing, lam, generator=generator, seen=seen), pairing)
