"""SAMix-P: a trained Mixer with the encoder whose maps it reads, in one file, used frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from samix.config.mixing import MaskAdjustConfig
from samix.config.networks import BackboneConfig, MixerConfig
from samix.core.errors import DataError
from samix.core.files import found_under
from samix.core.weights import WeightsFile
from samix.mixup.mixer.mixer import Mixer, MixerMaps
from samix.mixup.policies.samix import SAMix
from samix.mixup.policy import NOTHING, ImageInfo
from samix.nn import Backbone, build_backbone

KIND = "samix_p"
FORMER_NAME = "bundle.safetensors"
"""Name of a pretrained Mixer's file in earlier versions."""


class SAMixP(SAMix):
    """The pre-trained Mixer as a policy for any network: images in, mixed images out.

    The maps come from the policy's own frozen encoder, so any network can be trained. Mixer and encoder are
    always in eval mode and take no gradient (SAMix, pre-trained Mixer).
    """

    uses_mixer = "pretrained"
    extra_requirement = "a pretrained Mixer"
    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        backbone: Backbone,
        mixer: Mixer,
        adjust: MaskAdjustConfig,
        *,
        trained_on: Normalisation,
        images_use: Normalisation | None = None,
    ) -> None:
        """trained_on: (mean, std) of the encoder's training images; images_use: of the images to be mixed."""
        super().__init__(mixer, adjust)
        self.requires -= {"maps"}
        self.backbone = backbone
        self.requires_grad_(False)
        scale, shift = _conversion(images_use or trained_on, trained_on)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.train()

    @classmethod
    def example(cls) -> Self:
        """See Policy."""
        backbone = build_backbone(BackboneConfig(channels=(4, 4, 6, 8)))
        grey = [0.5] * 3, [0.25] * 3
        return cls(backbone, Mixer(6, MixerConfig()), MaskAdjustConfig(), trained_on=grey)

    @classmethod
    def from_file(cls, path: Path | str, images_use: Normalisation | None = None) -> SAMixP:
        """Read a pretrained Mixer, a file of `pretrained_mixer_tensors` and `pretrained_mixer_metadata`.

        Args: path, such as mixer.safetensors of a stage; if it is missing, bundle.safetensors in its folder
        is read, the name in earlier versions. images_use, (mean, std) used to normalise the images to be
        mixed; None: those of the Mixer's training images.
        Raises: DataError if the file is not a pretrained Mixer.
        """
        file = WeightsFile(found_under(path, FORMER_NAME))
        about = file.metadata
        if about.get("kind") != KIND:
            raise DataError(f"{path} is not a pretrained Mixer (kind: {about.get('kind')!r}).")
        backbone = build_backbone(BackboneConfig(**about["backbone"]))
        backbone.load_state_dict(file.load("backbone."))
        mixer = Mixer(backbone.tap_channels, MixerConfig(**about["mixer"]))
        mixer.load_state_dict(file.load("mixer."))
        adjust = MaskAdjustConfig(**about["mask_adjust"])
        return cls(backbone, mixer, adjust, trained_on=(about["mean"], about["std"]), images_use=images_use)

    def train(self, mode: bool = True) -> SAMixP:  # noqa: ARG002 - frozen in any training
        """Stay in eval mode: BatchNorm's statistics and dropout are frozen with the weights."""
        super().train(False)
        return self

    @torch.no_grad()
    def info_from(self, images: Tensor, info: ImageInfo = NOTHING) -> ImageInfo:
        """Maps (N, C, h, w) of images (N, 3, H, W) by the frozen encoder, which stops at its tap."""
        return info._replace(maps=self.backbone.tap_map(self._own(images)))

    @torch.no_grad()
    def inspect(self, first: Tensor, second: Tensor, lam: float) -> MixerMaps:
        """The Mixer's own mask, attention and content for pairs (N, 3, H, W), before lambda adjusting."""
        maps, others = self.backbone.tap_map(self._own(first)), self.backbone.tap_map(self._own(second))
        size = (first.shape[-2], first.shape[-1])
        found: MixerMaps = self.mixer(maps, others, self.mixer.draw(np.random.default_rng(0), lam), size)
        return found

    def _own(self, images: Tensor) -> Tensor:
        """The images with the normalisation of the frozen encoder."""
        return images * self.scale + self.shift


Normalisation = tuple[list[float], list[float]]
"""Mean and standard deviation of the three colour channels."""


def pretrained_mixer_tensors(backbone: nn.Module, mixer: Mixer) -> dict[str, Tensor]:
    """Tensors of a pretrained Mixer's file: the encoder under `backbone.`, the Mixer under `mixer.`."""
    parts = {"backbone": backbone, "mixer": mixer}
    return {f"{name}.{key}": t for name, part in parts.items() for key, t in part.state_dict().items()}


def pretrained_mixer_metadata(
    backbone: BackboneConfig, mixer: MixerConfig, adjust: MaskAdjustConfig, normalisation: Normalisation
) -> dict[str, Any]:
    """Description of a pretrained Mixer that `SAMixP.from_file` reads, as JSON."""
    mean, std = normalisation
    return {
        "kind": KIND,
        "backbone": backbone.model_dump(mode="json", exclude={"pretrained", "pretrained_file"}),
        "mixer": mixer.model_dump(mode="json"),
        "mask_adjust": adjust.model_dump(mode="json"),
        "mean": list(mean),
        "std": list(std),
    }


def _conversion(have: Normalisation, want: Normalisation) -> tuple[Tensor, Tensor]:
    """scale and shift (1, 3, 1, 1) from images normalised as `have` to images normalised as `want`."""
    mean, std, new_mean, new_std = (torch.tensor(v).view(1, 3, 1, 1) for v in (*have, *want))
    return std / new_std, (mean - new_mean) / new_std
