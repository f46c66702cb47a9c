"""Token-label alignment, TLA (Xiao et al., 2023)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.boxes import Boxes, as_boxes, draw_box
from samix.mixup.lam import Ratio, complemented, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import ImageInfo, Mixed, ModelOutputs, PairInfo, Policy, two_parents
from samix.mixup.tokens import Grid, check_patch, flipped, grid_of, in_pixels


class TLADraws(NamedTuple):
    """box in patches; weights (2, N) by its area."""

    box: Boxes
    weights: Tensor


class TLA(Policy):
    """CutMix on whole patches, whose labels pass through the network together with the tokens.

    Each patch has the label of its image, the class token the mix by area. Every block mixes the labels as
    it mixes the tokens, Y <- (Y + A Y) / 2, A being the mean over heads of its attention; the label of the
    class token after the last block is the target. Rows of A sum to 1, so each label stays a mix of the two
    given ones, and it is enough to compute its weight of `first`. For the same reason, labels smoothed before
    the first block are equal to labels smoothed after the last one, as in the losses.

    Partners are the batch in reverse order. DeiT's alternation with Mixup, whose labels such blocks would not
    change: RandomChoice(("mixup", "tla"), (0.8, 1.0)).
    """

    cost = "attention"
    requires_outputs = frozenset({"attention", "attentions"})
    chooses_partners = True

    def __init__(self, patch: int = 16) -> None:
        """patch: side of the backbone's patches in pixels. Raises: ConfigError for one below 1."""
        super().__init__()
        check_patch(patch, "TLA")
        self.patch = patch

    def choose_partners(self, info: ImageInfo, n: int, device: torch.device) -> Tensor:  # noqa: ARG002
        """The batch in reverse order."""
        return flipped(n, device)

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> TLADraws:
        """See Policy: CutMix's box in patches. Raises: ConfigError if patches do not divide the images."""
        grid = grid_of(shape, self.patch, "TLA")
        box = draw_box(*grid, math.sqrt(1 - float(lam)), rng)
        return TLADraws(as_boxes(box), pair_weights(box.share_outside(*grid), shape.images))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: TLADraws, info: PairInfo
    ) -> Mixed:
        """See Policy; the box is the mask, and the weights, its area, are not final."""
        grid = (images.shape[2] // self.patch, images.shape[3] // self.patch)
        kept = draws.box.mask_outside(images.new_empty(1, 1, *grid))
        mask = in_pixels(kept, images)
        mixed = torch.where(mask.bool(), images, pairing.select(others))
        state = kept.flatten(1).expand(len(images), -1), grid
        return two_parents(mixed, pairing, draws.weights, mask, final=False, state=state)

    def reweight(self, mixed: Mixed, outputs: ModelOutputs) -> Tensor:
        """See Policy. Raises: ValueError if attention is missing; ConfigError for another grid."""
        if outputs.attention is None or outputs.attentions is None:
            raise ValueError("TLA requires the attention of every block in the mixed images")
        kept, grid = mixed.state
        found = (outputs.attention.shape[-2], outputs.attention.shape[-1])
        _check_grid(found, grid)
        prefix = outputs.attentions[0].shape[1] - kept.shape[1]
        weight = torch.cat([mixed.weights[0][:, None].expand(-1, prefix), kept], dim=1)
        for attention in outputs.attentions:
            # a product and a sum, as autocast would run a matrix product in half precision
            weight = (weight + (attention.float() * weight[:, None]).sum(2)) / 2
        return complemented(weight[:, 0])


def _check_grid(found: Grid, grid: Grid) -> None:
    if found != grid:
        raise ConfigError(
            f"TLA: the backbone has {found[0]} x {found[1]} patches, and the option patch makes {grid[0]} x "
            f"{grid[1]}: set it to the side of the backbone's patches."
        )
