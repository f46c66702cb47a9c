"""Mix a batch in a user's own training loop, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samix.core.step import BatchShape
from samix.mixup.draws import draw_policy, expanded
from samix.mixup.lam import Ratio, draw_lam
from samix.mixup.mix import mix
from samix.mixup.pairing import draw_local_pairing
from samix.mixup.policy import NOTHING, ImageInfo, Mixed, Policy
from samix.objectives import ClassObjective, MixedCE, MixedCriterion


@dataclass(frozen=True)
class MixedBatch:
    """Mixed images (N, 3, H, W) with the rows of their parents and the weights of the parents' labels."""

    mixed: Mixed

    @property
    def images(self) -> Tensor:
        """The mixed images."""
        return self.mixed.images

    def loss(self, outputs: Tensor, targets: Any, criterion: MixedCriterion | None = None) -> Tensor:
        """Loss of the network's outputs for the mixed images, a scalar.

        Args: targets, those of the batch before mixing, such as labels (N,); criterion, None: the mixed
        cross-entropy of logits (N, C).
        """
        criterion = criterion or MixedCE(ClassObjective())
        return mixed_term(criterion, outputs, self.mixed, targets, targets)


def mix_batch(
    policy: Policy,
    images: Tensor,
    generator: np.random.Generator,
    *,
    alpha: float = 1.0,
    lam: Ratio | None = None,
    info: ImageInfo = NOTHING,
    shape: BatchShape | None = None,
) -> MixedBatch:
    """Pair the images of a batch (N, 3, H, W), N >= 2, draw lam ~ Beta(alpha, alpha), and mix.

    All random numbers come from `generator`. lam: replaces the drawn one. info: the fields that the policy
    requires besides the pixels (`policy.requires`); an `Adapter` computes them, and mixes features. shape:
    sizes of the batch with those inside the network (`Adapter.shape`), required if the policy mixes maps or
    patches of a transformer; None: sizes of the images only.
    Raises: ValueError for a single image, or if the policy requires sizes inside the network.
    """
    order = torch.Generator().manual_seed(int(generator.integers(2**63)))
    if lam is None:
        lam = draw_lam(alpha, generator)
    shape = shape or BatchShape(len(images), images.shape[2], images.shape[3])
    pair = lambda member: draw_local_pairing(shape.images, order, no_repeat=True)  # noqa: E731, ARG005
    drawn = draw_policy(policy, lam, generator, shape, pair)
    return MixedBatch(mix(policy, images, expanded(policy, drawn, shape, images.device), info))


def mixed_term(criterion: MixedCriterion, outputs: Tensor, mixed: Mixed, first: Any, second: Any) -> Tensor:
    """The loss of mixed images, a scalar.

    Args: targets of the images in the order of the batch, and those from which the targets of the other
    parents are selected.
    """
    return criterion(outputs, mixed.targets_of(first, second), mixed.weights)
