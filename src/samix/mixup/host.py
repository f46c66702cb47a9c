"""How a policy enters a host: what it is told of the images, and what becomes of the images it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.mixup.base import Mixed, Outcome, Policy, Ratio, Seen, draw_lam, draw_lams
from samix.mixup.pairing import Pairing
from samix.mixup.table import Offer, name_of, refusal
from samix.nn import Backbone


class Network(Protocol):
    """A trained network around a backbone."""

    backbone: Backbone
    training: bool

    def __call__(self, x: Tensor) -> Any:
        """Images (N, 3, H, W) -> anything with `pooled` (N, width)."""

    def train(self, mode: bool = True) -> Any:
        """Training or evaluation mode, of all parts."""


@dataclass(frozen=True)
class Host:
    """The trained network as a policy's servant.

    read: what the network gives -> outputs that the loss is about; head: the layer that makes logits of
    pooled features, None where outputs are no logits.
    """

    network: Network
    read: Callable[[Any], Tensor]
    head: nn.Linear | None = None

    def look(self, policy: Policy, images: Tensor, known: Seen, loss_of: Callable[[Tensor], Tensor]) -> Seen:
        """`known`, and what else the policy needs to know of images (N, 3, H, W).

        The network is asked in evaluation mode, so that its statistics and its gradients stay as they are.
        loss_of: outputs -> losses (N,) of the un-mixed images.
        """
        found: dict[str, Tensor] = {}
        if policy.needs <= {"maps", "labels"}:  # going through all modules twice is not for nothing
            return known
        with _evaluating(self.network):
            if "saliency" in policy.needs:
                found["saliency"] = _pixel_gradient(self.network, lambda out: loss_of(self.read(out)), images)
            if "feature_saliency" in policy.needs:
                found["feature_saliency"] = _pixel_gradient(self.network, _length, images)
            if "cam" in policy.needs and known.labels is not None:
                found["cam"] = self._cam(images, known.labels)
            if "attention" in policy.needs:
                found["attention"] = self._attention(images)
        return known._replace(**found)

    def run(self, policy: Policy, mixed: Mixed, pairing: Pairing) -> tuple[Tensor, Mixed]:
        """Pass mixed images through the network, mixing its features where the policy says so.

        Returns: outputs of the mixed images, and the Mixed whose weights are final.
        """
        backbone, inside = self.network.backbone, mixed.inside
        with ExitStack() as stack:
            if inside is not None:
                change = lambda h: inside.blend(h, pairing.of(h))  # noqa: E731 - it belongs to these lines
                stack.enter_context(backbone.altering(inside.stage, change))
            kept = []
            if policy.after & {"attention", "attentions"}:
                kept = stack.enter_context(backbone.attending(every="attentions" in policy.after))
            outputs = self.read(self.network(mixed.images))
        if mixed.relabel is None:
            return outputs, mixed
        size = (mixed.images.shape[2], mixed.images.shape[3])
        looked = backbone.looks_at(kept[-1], size) if kept else None
        logits = outputs.detach().float() if "logits" in policy.after else None
        return outputs, mixed.relabel(Outcome(logits, looked, tuple(kept) or None))

    @torch.no_grad()
    def _cam(self, images: Tensor, labels: Tensor) -> Tensor:
        assert self.head is not None  # a policy that needs a classifier is refused where there is none
        features = F.relu(self.network.backbone.last_map(images)).float()
        weights = self.head.weight[labels].float()
        cam = torch.einsum("nchw,nc->nhw", features, weights) + self.head.bias[labels].view(-1, 1, 1)
        return cam[:, None]

    @torch.no_grad()
    def _attention(self, images: Tensor) -> Tensor:
        backbone = self.network.backbone
        with backbone.attending() as kept:
            backbone(images)
        return backbone.looks_at(kept[-1], (images.shape[2], images.shape[3]))


def offer_of(backbone: Backbone, *, labels: bool, classes: bool, one_view: bool = True) -> Offer:
    """What policies can be given.

    labels: of the images; classes: outputs are logits of these; one_view: both parents are of one batch.
    """
    return Offer(
        labels=labels,
        classes=classes,
        one_size=backbone.image_size is not None,
        attention=backbone.attends,
        inside=one_view and bool(backbone.stages),
        maps=backbone.image_size is None,
    )


def check_policy(policy: Policy | type[Policy], offer: Offer, *, lam_per_sample: bool) -> None:
    """Raise ConfigError where a host that gives what `offer` says cannot use the policy."""
    reason = refusal(policy, offer)
    if reason is not None:
        raise ConfigError(reason)
    if lam_per_sample and not policy.per_sample:
        raise ConfigError(f"policy.lam: policy {name_of(policy)} takes one lam a batch: set it to batch.")


def draw_ratio(alpha: float, n: int, generator: np.random.Generator, *, per_sample: bool) -> Ratio:
    """lam ~ Beta(alpha, alpha): one for the batch, or one for each of its n samples."""
    return draw_lams(alpha, n, generator) if per_sample else draw_lam(alpha, generator)


@contextmanager
def _evaluating(network: Network) -> Iterator[None]:
    training = network.training
    network.train(False)
    try:
        yield
    finally:
        network.train(training)


@torch.enable_grad()
def _pixel_gradient(network: Network, value_of: Callable[[Any], Tensor], images: Tensor) -> Tensor:
    """sqrt of the mean over channels of (d value / d pixel) ** 2: (N, 1, H, W), float32, without gradient."""
    pixels = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(value_of(network(pixels)).sum(), pixels)
    return gradient.float().square().mean(1, keepdim=True).sqrt()


def _length(encoded: Any) -> Tensor:
    length: Tensor = encoded.pooled.float().norm(dim=1)
    return length
