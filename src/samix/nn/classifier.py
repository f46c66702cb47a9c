"""A backbone with classification heads: the network of supervised training."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from samix.config.networks import BackboneConfig
from samix.core.errors import DataError
from samix.core.weights import WeightsFile
from samix.nn.backbones import Backbone, Features
from samix.nn.build import build_backbone


class Classifier(nn.Module):
    """Backbone and linear heads, Normal(0, 0.01), by name: "plain" for un-mixed, "mixed" for mixed images.

    Two names may share one head.
    """

    def __init__(self, backbone: Backbone, classes: int, names: list[str], *, shared: bool) -> None:
        """classes >= 2; names of the heads; shared: all names refer to the same head."""
        super().__init__()
        self.backbone = backbone
        self.names = names
        self.shared = shared
        self.heads = nn.ModuleDict()
        for name in names[:1] if shared else names:
            head = nn.Linear(backbone.width, classes)
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            self.heads[name] = head

    def forward(self, x: Tensor) -> Features:
        """Images (N, 3, H, W) -> Features."""
        features: Features = self.backbone(x)
        return features

    def logits(self, features: Features, name: str) -> Tensor:
        """Logits (N, C) of one head."""
        found: Tensor = self.head(name)(features.pooled)
        return found

    def head(self, name: str) -> nn.Linear:
        """The layer that computes logits from pooled features."""
        return self.heads[self.names[0] if self.shared else name]  # type: ignore[return-value]


def load_classifier(path: Path) -> tuple[Classifier, tuple[list[float], list[float]]]:
    """A classifier that the supervised training has written, and (mean, std) of its training images.

    Raises: DataError if the file is not such a classifier.
    """
    file = WeightsFile(path)
    about = file.metadata
    if about.get("kind") != "backbone" or "headline" not in about:
        raise DataError(f"{path} is not a classifier of the stage sl_training (kind: {about.get('kind')!r}).")
    heads = file.load("heads.")
    names = sorted({key.partition(".")[0] for key in heads}, reverse=True)  # plain before mixed
    classes = len(heads[f"{names[0]}.weight"])
    classifier = Classifier(build_backbone(BackboneConfig(**about["backbone"])), classes, names, shared=False)
    classifier.backbone.load_state_dict(file.load("backbone."))
    classifier.heads.load_state_dict(heads)
    return classifier, (about["mean"], about["std"])
