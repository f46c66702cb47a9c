"""AugMix (Hendrycks et al., 2020), the mixed image without the consistency of three views."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.operations import ALL, PLAIN, Operations, apply, draw_operations, per_image
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, two_parents
from samix.mixup.unit_range import Channels, UnitRange, to_bytes

_CHAINS, _DEPTH = 3, 3


class AugMixDraws(NamedTuple):
    """steps, the operations of each of the 3 steps of 3 N chains; chain_weights (3, N) and share (N,); these
    are on the host, as the number of images with an operation depends on them; weights (2, N).
    """

    steps: tuple[Operations, ...]
    chain_weights: np.ndarray
    share: np.ndarray
    weights: Tensor


class AugMix(Policy):
    """Each image is mixed with its own augmentations: no second image, and lam is 1.

    x_m = (1 - m) x + m sum_w w_w chain_w(x): three chains of 1 to 3 operations, weights ~ Dirichlet(1), m ~
    Beta(1, 1), all drawn for each image. The method's Jensen-Shannon consistency, a loss that compares the
    network's outputs for three views of one image, is not implemented: it does not mix images or labels.
    mean and std are those used to normalise the images, needed because the operations work on bytes; without
    them each image is stretched from its darkest to its lightest value.
    """

    cost = "static"

    def __init__(
        self,
        mean: Channels | None = None,
        std: Channels | None = None,
        severity: float = 3.0,
        all_operations: bool = False,
    ) -> None:
        """severity: levels are drawn from U(0.1, severity); 3 in the paper, 1 in its code for ImageNet.

        all_operations: use colour, contrast, brightness and sharpness as well, which ImageNet-C contains.
        Raises: ConfigError for only one of mean and std, or a severity outside [0.1, 10].
        """
        super().__init__()
        self.range = UnitRange("AugMix", mean, std)
        self.severity = checked_severity("AugMix", severity)
        self.operations = ALL if all_operations else PLAIN

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> AugMixDraws:  # noqa: ARG002
        """See Policy: depths and operations of the chains, their weights, the share of the mix."""
        n, steps = shape.images, []
        depths = rng.integers(1, _DEPTH + 1, _CHAINS * n)
        for step in range(_DEPTH):
            operations = draw_operations(len(depths), self.severity, self.operations, rng)
            operations.names[depths <= step] = ""
            steps.append(operations)
        chain_weights = rng.dirichlet(np.ones(_CHAINS), n).T
        share = rng.beta(1.0, 1.0, n)
        return AugMixDraws(tuple(steps), chain_weights, share, pair_weights(1.0, n))

    @torch.no_grad()
    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: AugMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the partners are not used and have weight 0."""
        unit, back = self.range.shown(images)
        chains, share = _chains(to_bytes(unit), draws.steps), draws.share
        mixed = unit * per_image(1 - share, unit)
        for chain, weight in zip(chains.chunk(_CHAINS), draws.chain_weights * share, strict=True):
            mixed = mixed + chain.float() / 255 * per_image(weight, unit)
        return two_parents(back(mixed), pairing, draws.weights)


def _chains(images: Tensor, steps: tuple[Operations, ...]) -> Tensor:
    """Bytes (N, 3, H, W) -> (3 N, 3, H, W), all first chains before all second ones."""
    chains = images.repeat(_CHAINS, 1, 1, 1)
    for operations in steps:
        chains = apply(chains, operations)
    return chains


def checked_severity(policy: str, severity: float) -> float:
    """`severity`. Raises: ConfigError if it is outside [0.1, 10]."""
    if not 0.1 <= severity <= 10:
        raise ConfigError(f"{policy}: severity is in [0.1, 10], not {severity}")
    return severity
