"""A frozen network whose outputs a policy reads: with timm's weights or those of a file of this project."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError, DataError
from samix.core.weights import WeightsFile
from samix.mixup.policies.samix_p import Normalisation
from samix.nn import build_backbone
from samix.nn.build import published

TIMM = "timm"
"""Value of `weights` instead of a file: timm's own weights."""


def weights_files(options: Mapping[str, Any]) -> list[Path]:
    """The file that the option `weights` of a policy names; none if it is left out or "timm"."""
    weights = options.get("weights", TIMM)
    return [] if weights in (None, TIMM) else [Path(weights)]


class FrozenNetwork(nn.Module):
    """A timm model that is never trained and always in eval mode; gradients flow through it to the images.

    Attributes: classes, the number of logits; 0 if it has no classifier.
    """

    def __init__(
        self,
        net: nn.Module,
        head: nn.Linear | None = None,
        *,
        size: int | None = None,
        trained_on: Normalisation | None = None,
        images_use: Normalisation | None = None,
    ) -> None:
        """net with its own classifier, or with `head` after its pooled features.

        size: side to which images are resized first (bilinear); None: images are not resized.
        trained_on: (mean, std) of the network's training images; images_use: of the images in `forward`.
        Unless both are given, nothing is converted.
        """
        super().__init__()
        self.net = net
        self.head = head
        self.size = size
        self.classes: int = net.num_classes if head is None else head.out_features  # type: ignore[assignment]
        self._scale_and_shift = _conversion(images_use, trained_on)
        self.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> FrozenNetwork:  # noqa: ARG002 - frozen in any training
        """Stay in eval mode."""
        super().train(False)
        return self

    def last_map(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> the last features before pooling, (N, C, h, w) of a convolutional net."""
        last: Tensor = self.net.forward_features(self._prepared(images))  # type: ignore[operator]
        return last

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> logits (N, classes)."""
        last = self.last_map(images)
        if self.head is None:
            return self.net.forward_head(last)  # type: ignore[operator,no-any-return]
        logits: Tensor = self.head(self.net.forward_head(last, pre_logits=True))  # type: ignore[operator]
        return logits

    def _prepared(self, images: Tensor) -> Tensor:
        images = images.float()
        if self._scale_and_shift is not None:
            # channel by channel: a tensor of these numbers would have to be moved to the device
            channels = zip(images.unbind(1), *self._scale_and_shift, strict=True)
            images = torch.stack([channel * scale + shift for channel, scale, shift in channels], dim=1)
        if self.size is None or images.shape[2:] == (self.size, self.size):
            return images
        return F.interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)


def frozen_network(
    backbone: str, weights: str, *, size: int | None = None, images_use: Normalisation | None = None
) -> FrozenNetwork:
    """Build the network that belongs to `weights`.

    Args:
        backbone: name of a timm model; ignored for a file of this project, which contains its backbone.
        weights: "timm" (downloaded); a file as timm publishes it (.pth, .safetensors); or a file of this
            project: of the supervised training, whose head for plain images is used if there is one, or an
            encoder without a head.
        size: side to which images are resized first; None: the size at which timm's weights were trained,
            and no resizing for files of this project.
        images_use: (mean, std) used to normalise the images; these are converted to those of the weights.
            None: nothing is converted.
    Raises: ConfigError if timm does not know the model or has no weights of it; DataError if the file is
        missing or of another network, or if the download fails.
    """
    if weights == TIMM:
        return _published(backbone, None, size, images_use)
    path = Path(weights)
    if not path.is_file():
        raise DataError(
            f"weights: there is no file {path}; give one, or {TIMM!r} to have timm download them."
        )
    if _is_ours(path):
        return _from_project(WeightsFile(path), size, images_use)
    return _published(backbone, path, size, images_use)


def _published(
    name: str, file: Path | None, size: int | None, images_use: Normalisation | None
) -> FrozenNetwork:
    if not timm.is_model(name):
        raise ConfigError(f"backbone: timm has no model {name!r}.")
    about = published(name)
    if file is None and not about.has_weights:
        raise ConfigError(f"backbone: timm has no weights of {name}; give a file as weights.")
    overlay = None if file is None else {"file": str(file)}
    try:
        with torch.random.fork_rng(devices=[]):
            net = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as error:  # timm, its hub client and the readers of files share no class of errors
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        where = "by download; give a file as weights" if file is None else f"in {file}"
        raise DataError(f"weights: none of {name} {where} ({reason}).") from error
    trained_on = list(about.mean), list(about.std)
    side = about.input_size[-1] if size is None else size
    return FrozenNetwork(net, size=side, trained_on=trained_on, images_use=images_use)


def _is_ours(path: Path) -> bool:
    if path.suffix != ".safetensors":
        return False
    try:
        return bool(WeightsFile(path).metadata)
    except DataError:  # timm's safetensors have no description of this project
        return False


def _from_project(file: WeightsFile, size: int | None, images_use: Normalisation | None) -> FrozenNetwork:
    about = file.metadata
    if not {"backbone", "mean", "std"} <= about.keys():
        raise DataError(
            f"weights: {file.path} (kind {about.get('kind')!r}) holds no backbone with its mean and std."
        )
    with torch.random.fork_rng(devices=[]):
        backbone = build_backbone(BackboneConfig(**about["backbone"]))
    backbone.load_state_dict(file.load("backbone."))
    trained_on = about["mean"], about["std"]
    return FrozenNetwork(backbone.net, _head(file), size=size, trained_on=trained_on, images_use=images_use)


def _head(file: WeightsFile) -> nn.Linear | None:
    try:
        tensors = file.load("heads.")
    except DataError:  # an encoder
        return None
    name = "plain" if "plain.weight" in tensors else next(iter(tensors)).rpartition(".")[0]
    classes, width = tensors[f"{name}.weight"].shape
    head = nn.Linear(width, classes, device="meta").to_empty(device="cpu")
    head.load_state_dict({key: tensors[f"{name}.{key}"] for key in ("weight", "bias")})
    return head


def _conversion(
    have: Normalisation | None, want: Normalisation | None
) -> tuple[list[float], list[float]] | None:
    """scale and shift of each channel, from images normalised as `have` to images normalised as `want`."""
    if have is None or want is None:
        return None
    channels = list(zip(*have, *want, strict=True))
    scales = [std / new_std for _, std, _, new_std in channels]
    return scales, [(mean - new_mean) / new_std for mean, _, new_mean, new_std in channels]
