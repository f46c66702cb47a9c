"""A backbone with classification heads: the network of supervised training."""

from __future__ import annotations

from torch import Tensor, nn

from samix.nn.backbones import Backbone, Features


class Classifier(nn.Module):
    """Backbone and linear heads, Normal(0, 0.01), by name: "plain" for un-mixed, "mixed" for mixed images.

    Two names may share one head.
    """

    def __init__(self, backbone: Backbone, classes: int, names: list[str], *, shared: bool) -> None:
        """classes >= 2; names of the heads; shared: all names mean the same head."""
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
        """The layer that makes logits of pooled features."""
        return self.heads[self.names[0] if self.shared else name]  # type: ignore[return-value]
