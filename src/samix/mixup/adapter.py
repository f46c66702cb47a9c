"""A policy in the trained network: the information it requires, and the pass of mixed images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.core.errors import ConfigError
from samix.core.step import BatchShape
from samix.mixup.pairing import Pairing
from samix.mixup.policy import ImageInfo, Mixed, ModelOutputs, Policy
from samix.mixup.table import Capabilities, incompatibility, name_of
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
class Adapter:
    """The trained network, as policies use it.

    outputs_of: result of the network -> inputs of the loss; head: the layer that computes logits from pooled
    features, None if the outputs are not logits.
    """

    network: Network
    outputs_of: Callable[[Any], Tensor]
    head: nn.Linear | None = None

    def shape(self, policy: Policy | None, images: int, height: int, width: int) -> BatchShape:
        """Sizes of a batch of one rank, with the sizes inside the backbone that the policy requires."""
        backbone = self.network.backbone
        grid = backbone.grid((height, width)) if backbone.attends else None
        inside = policy is not None and policy.mixes_features == "maps"
        features = backbone.feature_shapes((height, width)) if inside else ()
        return BatchShape(images, height, width, grid, features)

    def info_for(
        self, policy: Policy, images: Tensor, known: ImageInfo, loss_of: Callable[[Tensor], Tensor]
    ) -> ImageInfo:
        """`known`, completed by the other fields that the policy requires, for images (N, 3, H, W).

        The network runs in evaluation mode, so that its statistics and its gradients stay as they are.
        loss_of: outputs -> losses (N,) of the un-mixed images.
        """
        found: dict[str, Tensor] = {}
        if policy.requires <= {"maps", "labels"}:  # switching the mode of all modules twice costs time
            return known
        with _evaluating(self.network):
            if "saliency" in policy.requires:
                of_loss = lambda out: loss_of(self.outputs_of(out))  # noqa: E731
                found["saliency"] = _pixel_gradient(self.network, of_loss, images)
            if "feature_saliency" in policy.requires:
                found["feature_saliency"] = _pixel_gradient(self.network, _length, images)
            if "cam" in policy.requires and known.labels is not None:
                found["cam"] = self._cam(images, known.labels)
            if "attention" in policy.requires:
                found["attention"] = self._attention(images)
        return known._replace(**found)

    def forward_mixed(self, policy: Policy, mixed: Mixed) -> tuple[Tensor, Mixed]:
        """Pass mixed images through the network, mixing its features if the policy does so.

        Returns: outputs of the mixed images, and the Mixed with final weights.
        """
        backbone, features = self.network.backbone, mixed.features
        with ExitStack() as stack:
            if features is not None:
                pairing = Pairing(mixed.index[1], mixed.everywhere)
                change = lambda h: features.blend(h, pairing.select(h))  # noqa: E731
                stack.enter_context(backbone.altering(features.stage, change))
            kept = []
            if policy.requires_outputs & {"attention", "attentions"}:
                kept = stack.enter_context(backbone.attending(every="attentions" in policy.requires_outputs))
            outputs = self.outputs_of(self.network(mixed.images))
        if mixed.final:
            return outputs, mixed
        size = (mixed.images.shape[2], mixed.images.shape[3])
        attention = backbone.looks_at(kept[-1], size) if kept else None
        logits = outputs.detach().float() if "logits" in policy.requires_outputs else None
        weights = policy.reweight(mixed, ModelOutputs(logits, attention, tuple(kept) or None))
        return outputs, replace(mixed, weights=weights, final=True)

    @torch.no_grad()
    def _cam(self, images: Tensor, labels: Tensor) -> Tensor:
        assert self.head is not None  # without a classifier the policy is refused before training
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


def capabilities_of(
    backbone: Backbone, *, labels: bool, classes: bool, one_view: bool = True
) -> Capabilities:
    """Capabilities of a training with this backbone.

    labels: images have labels; classes: outputs are logits of these; one_view: both parents are in one batch.
    """
    return Capabilities(
        labels=labels,
        classes=classes,
        one_size=backbone.image_size is not None,
        attention=backbone.attends,
        features=one_view and bool(backbone.stages),
        maps=backbone.image_size is None,
    )


def check_policy(policy: Policy | type[Policy], capabilities: Capabilities, *, lam_per_sample: bool) -> None:
    """Raise ConfigError if a training with these capabilities cannot use the policy."""
    reason = incompatibility(policy, capabilities)
    if reason is not None:
        raise ConfigError(reason)
    if lam_per_sample and not policy.per_sample:
        raise ConfigError(f"policy.lam: policy {name_of(policy)} takes one lam per batch: set it to batch.")


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
