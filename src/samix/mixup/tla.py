"""Token-label alignment, TLA (Xiao et al., 2023)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.mixup.base import Answer, Cost, Guides, Mixed, Outcome, Policy, Seen
from samix.mixup.boxes import Box, draw_box
from samix.mixup.tokens import Grid, check_patch, flipped, grid_of


class TLA(Policy):
    """CutMix on whole patches, whose labels go through the network together with the tokens.

    Each patch has the label of its image, the class token the mix by area. Every block mixes the labels as
    it mixes the tokens, Y <- (Y + A Y) / 2 with the mean over heads of its attention A; the class token's
    label after the last block is the target. Rows of A sum to 1, so each label stays a mix of the two given
    ones, and its weight of `first` is all that has to be followed; for the same reason labels smoothed
    before the first block give what labels smoothed after the last one do, as hosts smooth them.

    The partner is that of the batch in reverse order. DeiT's alternation with Mixup, whose labels such
    blocks would leave as they are: RandomChoice(("mixup", "tla"), (0.8, 1.0)).
    """

    cost: ClassVar[Cost] = "V"
    after: frozenset[Answer] = frozenset({"attention", "attentions"})

    def __init__(self, patch: int = 16) -> None:
        """patch: side of the backbone's patches in pixels. Raises: ConfigError for one below 1."""
        super().__init__()
        check_patch(patch, "TLA")
        self.patch = patch

    def partners(self, seen: Seen, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """The batch in reverse order."""
        return flipped(n, device)

    def forward(
        self, first: Tensor, second: Tensor, lam: float, *, generator: np.random.Generator, guides: Guides
    ) -> Mixed:
        """Images (N, 3, H, W) and lam in [0, 1] -> Mixed with its box as mask, one box a batch, and the true
        share; `relabel` gives lam (N,). Raises: ConfigError where the patches do not divide the images.
        """
        grid = grid_of(first, self.patch, "TLA")
        patches = first[..., :: self.patch, :: self.patch]  # one pixel of each: the box is drawn in patches
        small = draw_box(patches, math.sqrt(1 - lam), generator)
        box = Box(*(edge * self.patch for edge in small))
        images = first.clone()
        images[box.at] = second[box.at]
        share, kept = box.share_outside(first), small.mask_outside(patches).flatten(1)
        mixed = Mixed(images, share, box.mask_outside(first))
        return replace(mixed, relabel=partial(_aligned, mixed, share, kept, grid))


def _aligned(mixed: Mixed, share: float, kept: Tensor, grid: Grid, outcome: Outcome) -> Mixed:
    """share of the patches that are of `first`; kept (N, h w), 1 for these."""
    if outcome.attention is None or outcome.attentions is None:
        raise ValueError("TLA needs the attention of every block in the mixed images")
    found = tuple(outcome.attention.shape[-2:])
    if found != grid:
        raise ConfigError(
            f"TLA: the backbone sees {found[0]} x {found[1]} patches, and its option patch makes {grid[0]} x "
            f"{grid[1]}: set it to the side of the backbone's patches."
        )
    prefix = outcome.attentions[0].shape[1] - kept.shape[1]
    weight = torch.cat([kept.new_full((len(kept), prefix), share), kept], dim=1)
    for attention in outcome.attentions:
        # a product and a sum, as a matrix product would be taken in half precision under autocast
        weight = (weight + (attention.float() * weight[:, None]).sum(2)) / 2
    return replace(mixed, lam=weight[:, 0])
