"""timm's pretrained weights for a backbone."""

from __future__ import annotations

from pathlib import Path

import torch

from samix.config.networks import BackboneConfig
from samix.core.errors import ConfigError, DataError
from samix.nn.backbones import Backbone
from samix.nn.build import create_net, published


def load_pretrained(backbone: Backbone, config: BackboneConfig) -> None:
    """Load timm's weights into `backbone`, built from `config`; does nothing if `config.pretrained` is false.

    timm downloads the weights, or reads them from `config.pretrained_file`, which contains the whole model as
    timm (for ResNets also torchvision) publishes it, with its classifier. timm adapts position embeddings to
    `config.image_size`. The state of the global random generator is not changed.
    Raises: ConfigError if timm has no weights of the model; DataError if they cannot be downloaded or read.
    """
    if not config.pretrained:
        return
    file = config.pretrained_file
    if file is not None and not file.is_file():
        raise DataError(f"backbone.pretrained_file: there is no file {file}.")
    if file is None and not published(config.name).has_weights:
        raise ConfigError(f"backbone.pretrained: timm has no weights of {config.name}.")
    backbone.net.load_state_dict(_state_of(config, file))


def _state_of(config: BackboneConfig, file: Path | None) -> dict[str, torch.Tensor]:
    overlay = None if file is None else {"file": str(file)}
    classes = published(config.name).num_classes
    try:
        with torch.random.fork_rng(devices=[]):
            # with its classifier, as timm reads a file strictly only if the whole model is loaded
            net = create_net(config, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes)
    except ConfigError:
        raise
    except Exception as error:  # timm, its hub client and the readers of files share no class of errors
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if file is not None:
            raise DataError(
                f"backbone.pretrained_file: {file} does not hold timm's weights of {config.name} ({reason})."
            ) from error
        raise DataError(
            f"backbone.pretrained: no weights of {config.name} by download ({reason}). Without a network "
            "fetch them elsewhere and set backbone.pretrained_file."
        ) from error
    net.reset_classifier(0)  # type: ignore[operator]  # every timm model has it
    return net.state_dict()
