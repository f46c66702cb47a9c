"""SuperMix (Dabouei et al., 2021), without its distillation loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.lam import Ratio, pair_weights
from samix.mixup.pairing import Pairing
from samix.mixup.policy import Mixed, PairInfo, Policy, blend, two_parents
from samix.mixup.teacher import TIMM, FrozenNetwork, frozen_network, weights_files
from samix.mixup.unit_range import Channels

_GRID = 16
"""Most cells per side of a mask."""
_LONGEST = 1.0
"""Largest root mean square of a step's changes over the cells of a sample's masks."""


class SuperMixDraws(NamedTuple):
    """shares (K, N) of the parents; rows (K, N) of the batch for three parents, None for two."""

    shares: Tensor
    rows: Tensor | None


class SuperMix(Policy):
    """Masks for which a frozen teacher's prediction of the mix is the mix of its predictions by share.

    The logits of the masks, on a grid of 16 x 16 cells smoothed by a Gaussian of one cell, start from plain
    mixup and make `steps` Newton steps towards a zero of

        KL(sum_k share_k p(x_k) || p(x_m)) + sparsity * (distance of the masks from 0 and 1, in [0, 1]),

    p the teacher's prediction, for each sample separately; the best masks of each sample are kept. The
    weights of labels are the shares, not the areas of the masks. The shares of two images are lam and
    1 - lam; of three, lam and a split of the rest by Beta(3, 3). With lam ~ Beta(3, 3) two images have the
    method's Dirichlet(3). The method's distillation of the teacher's prediction of the mixed image is a loss
    and is not implemented here.
    """

    cost = "saliency"
    extra_requirement = "a trained classifier, which stays frozen"
    per_sample = True

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = TIMM,
        images: Literal[2, 3] = 2,
        steps: int = 10,
        sparsity: float = 1.0,
        mean: Channels | None = None,
        std: Channels | None = None,
        network: nn.Module | None = None,
    ) -> None:
        """Args:
        backbone, weights: the teacher, see `frozen_network`; timm's weights are downloaded.
        images: number of images mixed into one.
        steps, sparsity: see the class.
        mean, std: those used to normalise the images, which are converted to those of timm's weights.
        network: the user's own module, images (N, 3, H, W) -> logits (N, C), instead of a backbone. It is
            frozen and kept in eval mode.

        Raises: ConfigError for only one of mean and std, numbers out of range, an unknown backbone or one
        without classes; DataError for weights that cannot be read or downloaded.
        """
        super().__init__()
        if (mean is None) != (std is None):
            raise ConfigError("SuperMix: mean and std belong together; give both or none")
        if images not in (2, 3) or steps < 1 or sparsity < 0:
            raise ConfigError(
                f"SuperMix: images {images} must be 2 or 3, steps {steps} at least 1 and sparsity {sparsity} "
                "not negative"
            )
        self.many_parents = images == 3
        self.steps, self.sparsity = steps, sparsity
        if network is None:
            images_use = None if mean is None or std is None else (list(mean), list(std))
            network = _with_classes(frozen_network(backbone, weights, images_use=images_use), weights)
        self.network = network.requires_grad_(False)
        self.train()

    @classmethod
    def files(cls, options: Mapping[str, Any]) -> Iterable[Path]:
        """See Policy: the frozen network's weights."""
        return weights_files(options)

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        return cls(network=nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 4)))

    def train(self, mode: bool = True) -> SuperMix:  # noqa: ARG002 - frozen in any training
        """Stay in eval mode."""
        super().train(False)
        return self

    def draw(self, rng: np.random.Generator, lam: Ratio, shape: BatchShape) -> SuperMixDraws:
        """See Policy: for three images the cycle and the split into the second and third share."""
        pair = pair_weights(lam, shape.images)
        if not self.many_parents:
            return SuperMixDraws(pair, None)
        index, split = _cycle(shape.images, rng), rng.beta(3.0, 3.0, shape.images)
        share = pair[0]
        part = torch.from_numpy(split.astype(np.float32)) * pair[1]
        return SuperMixDraws(torch.stack([share, part, pair[1] - part]), torch.from_numpy(index))

    def forward(
        self, images: Tensor, others: Tensor, pairing: Pairing, draws: SuperMixDraws, info: PairInfo
    ) -> Mixed:
        """See Policy; for three images the partners are not used."""
        if draws.rows is None:
            second = pairing.select(others)
            mask = self.masks(torch.stack([images, second]), draws.shares)[0]
            return two_parents(blend(images, second, mask), pairing, draws.shares, mask)
        parents = images[draws.rows]
        masks = self.masks(parents, draws.shares)
        mixed = (masks * parents.float()).sum(0).to(images.dtype)
        return Mixed(mixed, draws.rows, draws.shares, masks, own_first=False)

    def masks(self, images: Tensor, shares: Tensor) -> Tensor:
        """Masks (K, N, 1, H, W), sum 1 over K, of images (K, N, 3, H, W) and shares (K, N); no gradient."""
        with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
            return self._search(images.detach().float(), shares.detach().float())

    def _search(self, images: Tensor, shares: Tensor) -> Tensor:
        count, n, _, height, width = images.shape
        with torch.no_grad():
            seen = self.network(images.flatten(0, 1)).softmax(1)
            target = (shares[..., None] * seen.view(count, n, -1)).sum(0)
        grid = min(_GRID, height), min(_GRID, width)
        logits = shares.clamp(min=1e-8).log().view(count, n, 1, 1, 1).repeat(1, 1, 1, *grid)
        best, lowest = logits, torch.full((n,), torch.inf, device=images.device)
        for step in range(self.steps + 1):
            logits = logits.detach().requires_grad_()
            loss = self._loss(_masks(logits, (height, width)), images, target)
            better = loss.detach() < lowest
            best = torch.where(better.view(-1, 1, 1, 1), logits.detach(), best)
            lowest = torch.where(better, loss.detach(), lowest)
            if step < self.steps:
                (slope,) = torch.autograd.grad(loss.sum(), logits)
                logits = logits - _newton(loss.detach(), slope)
        return _masks(best, (height, width)).detach()

    def _loss(self, masks: Tensor, images: Tensor, target: Tensor) -> Tensor:
        """Loss (N,) whose zero is searched."""
        seen = self.network((masks * images).sum(0)).log_softmax(1)
        apart = (target * (target.clamp(min=1e-12).log() - seen)).sum(1).clamp(min=0)
        most = 1 - 1 / len(masks)
        undecided = (1 - masks.square().sum(0)).mean((1, 2, 3)) / most
        loss: Tensor = apart + self.sparsity * undecided
        return loss


def _newton(value: Tensor, slope: Tensor) -> Tensor:
    """The step to the zero of a linear function, by value (N,) and slope (K, N, ...), limited in length."""
    squared = slope.square().sum((0, 2, 3, 4), keepdim=True).clamp(min=1e-20)
    step = value.view(1, -1, 1, 1, 1) / squared * slope
    size = step.square().mean((0, 2, 3, 4), keepdim=True).sqrt()
    return step * (_LONGEST / size.clamp(min=_LONGEST))


def _masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (K, N, 1, H, W), a softmax over K of logits (K, N, 1, h, w), smoothed and enlarged."""
    count, n = logits.shape[:2]
    taps = torch.exp(-(torch.arange(-2.0, 3.0, device=logits.device) ** 2) / 2)
    taps = taps / taps.sum()
    padded = F.pad(logits.flatten(0, 1), (2, 2, 2, 2), mode="replicate")
    smooth = F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))
    large = F.interpolate(smooth, size, mode="bilinear", align_corners=False)
    return large.view(count, n, 1, *size).softmax(0)


def _cycle(n: int, rng: np.random.Generator) -> np.ndarray:
    """Three parents of each of n images: itself, the next and the one after it in a random cycle; (3, n)."""
    order = rng.permutation(n)
    index = np.empty((3, n), dtype=np.int64)
    for place in range(3):
        index[place, order] = np.roll(order, -place)
    return index


def _with_classes(network: FrozenNetwork, weights: str) -> FrozenNetwork:
    if not network.classes:
        raise ConfigError(f"SuperMix: weights {weights} are an encoder's; give those of a classifier.")
    return network
