"""AugMix (Hendrycks et al., 2020), the mixed image without the consistency of three views."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Cost, Guides, Mixed, Policy
from samix.mixup.operations import ALL, PLAIN, apply, drawn, per_image
from samix.mixup.unit_range import Channels, UnitRange, to_bytes

_CHAINS, _DEPTH = 3, 3


class AugMix(Policy):
    """Each image is mixed with its own augmentations: no second image, and lam is 1.

    x_m = (1 - m) x + m sum_w w_w chain_w(x): three chains of 1 to 3 operations, weights ~ Dirichlet(1), m ~
    Beta(1, 1), all drawn for each image. The Jensen-Shannon consistency of the method compares the network's
    outputs for three views of one image, which is no way to mix images and labels: it is not here.
    mean and std are those the images were normalised by, because the operations work on bytes; without them
    each image is stretched from its darkest to its lightest value.
    """

    cost: ClassVar[Cost] = "S"

    def __init__(
        self,
        mean: Channels | None = None,
        std: Channels | None = None,
        severity: float = 3.0,
        all_operations: bool = False,
    ) -> None:
        """severity: levels are drawn from U(0.1, severity); 3 in the paper, 1 in its code for ImageNet.

        all_operations: colour, contrast, brightness and sharpness as well, which ImageNet-C tests.
        Raises: ConfigError for only one of mean and std, or a severity outside [0.1, 10].
        """
        super().__init__()
        self.range = UnitRange("AugMix", mean, std)
        self.severity = checked_severity("AugMix", severity)
        self.operations = ALL if all_operations else PLAIN

    @torch.no_grad()
    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) -> Mixed with lam 1; `second` and `lam` are not used."""
        n = len(first)
        unit, back = self.range.shown(first)
        chains = self._chains(to_bytes(unit), generator)
        weights = generator.dirichlet(np.ones(_CHAINS), n).T
        share = generator.beta(1.0, 1.0, n)
        mixed = unit * per_image(1 - share, unit)
        for chain, weight in zip(chains.chunk(_CHAINS), weights * share, strict=True):
            mixed = mixed + chain.float() / 255 * per_image(weight, unit)
        return Mixed(back(mixed), 1.0)

    def _chains(self, images: Tensor, generator: np.random.Generator) -> Tensor:
        """Bytes (N, 3, H, W) -> (3 N, 3, H, W), all first chains before all second ones."""
        chains = images.repeat(_CHAINS, 1, 1, 1)
        depths = generator.integers(1, _DEPTH + 1, len(chains))
        for step in range(_DEPTH):
            names, levels, signs = drawn(len(chains), self.severity, self.operations, generator)
            names[depths <= step] = ""
            chains = apply(chains, names, levels, signs)
        return chains


def checked_severity(policy: str, severity: float) -> float:
    """The severity, where it is one. Raises: ConfigError where it is not."""
    if not 0.1 <= severity <= 10:
        raise ConfigError(f"{policy}: severity is in [0.1, 10], not {severity}")
    return severity
