"""Faster R-CNN in C4 form: layer1-3 of a ResNet see the picture, layer4 sees each region."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from samix.config.detection import DetectorConfig
from samix.core.errors import ConfigError
from samix.nn import Backbone

_TRUNK = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3")


class Trunk(nn.Module):
    """Stem to layer3 of a timm ResNet: pictures (N, 3, H, W) -> map (N, out_channels, h, w)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        for name in _TRUNK:
            self.add_module(name, getattr(net, name))
        self.out_channels = _width(self.get_submodule("layer3"))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        for name in _TRUNK:
            x = self.get_submodule(name)(x)
        return x


class RegionHead(nn.Module):
    """layer4 of the ResNet, one extra BatchNorm and a global pool: regions (R, C, s, s) -> (R, out_channels).

    The extra norm is MoCo's: features of a pre-trained layer4 have another scale than supervised ones.
    """

    def __init__(self, net: nn.Module, extra_norm: bool) -> None:
        super().__init__()
        self.layer4: nn.Module = net.layer4  # type: ignore[assignment]
        self.out_channels = _width(self.layer4)
        self.norm = nn.BatchNorm2d(self.out_channels) if extra_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        features: Tensor = self.norm(self.layer4(x))
        return features.mean(dim=(2, 3))


def build_faster_rcnn_c4(
    backbone: Backbone, classes: int, config: DetectorConfig, *, mean: Sequence[float], std: Sequence[float]
) -> FasterRCNN:
    """Build the detector on a copy of `backbone` with its present weights; all layers are trained.

    BatchNorm stays trainable: frozen, it explodes on random weights, and MoCo's protocol trains it.

    Args: backbone, `net` a timm ResNet; classes K without the background; mean and std per channel of pixels
    in [0, 1].
    Raises: ConfigError for a backbone that is no ResNet.
    """
    net = deepcopy(backbone.net)
    if not all(hasattr(net, name) for name in (*_TRUNK, "layer4")):
        raise ConfigError(
            f"backbone.name: {type(net).__name__} has no layer1..layer4, so the C4 form cannot split it "
            "between picture and regions. Take one of timm's resnet*, resnext* or wide_resnet*, or "
            "leave detection_transfer out."
        )
    trunk, head = Trunk(net), RegionHead(net, config.extra_norm)
    train, test = config.proposals
    return FasterRCNN(
        trunk,
        min_size=config.min_size,
        max_size=config.max_size,
        image_mean=list(mean),
        image_std=list(std),
        rpn_anchor_generator=AnchorGenerator((config.anchor_sizes,), (config.anchor_ratios,)),
        rpn_pre_nms_top_n_train=4 * train,
        rpn_pre_nms_top_n_test=4 * test,
        rpn_post_nms_top_n_train=train,
        rpn_post_nms_top_n_test=test,
        rpn_batch_size_per_image=config.rpn_batch,
        box_roi_pool=MultiScaleRoIAlign(["0"], config.roi_size, 0),
        box_head=head,
        box_predictor=FastRCNNPredictor(head.out_channels, classes + 1),
        box_batch_size_per_image=config.box_batch,
        box_detections_per_img=config.detections,
    )


def _width(stage: nn.Module) -> int:
    """Channels that a stage of residual blocks puts out."""
    norms = [m for m in stage.modules() if isinstance(m, nn.BatchNorm2d)]
    return max(norms, key=lambda norm: norm.num_features).num_features
