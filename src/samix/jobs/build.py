"""Build networks so that equal seeds give equal weights, whatever else has drawn random numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from samix.config.mixing import MixerTrainingConfig, PolicyConfig
from samix.config.networks import BackboneConfig
from samix.config.options import read_options
from samix.config.ssl import ModelConfig
from samix.core.errors import ConfigError, DataError
from samix.core.random import Stream, seed_for
from samix.core.weights import WeightsFile
from samix.mixup import POLICIES, AutoMix, Mixer, Policy, SAMixP
from samix.mixup.policies.automix import automix_config
from samix.mixup.policies.samix_p import Normalisation
from samix.nn import Backbone, Encoder, build_backbone, load_pretrained

T = TypeVar("T")
M = TypeVar("M", bound=MixerTrainingConfig)


class _HasMixer(Protocol):
    """A Mixer and how it is trained."""

    mixer: Mixer

    @property
    def config(self) -> MixerTrainingConfig:
        """Its options."""


BACKBONE = "backbone."
PROJECTOR = "projector."
"""Prefixes of the backbone's and the projector's tensors in every weights file."""


def seeded(build: Callable[[], T], seed: int, purpose: str) -> T:
    """Call `build` with torch's global generator in the state of (seed, purpose), then put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(seed, purpose))
        return build()


def start_backbone(config: BackboneConfig, seed: int, weights: WeightsFile | None = None) -> Backbone:
    """A backbone with the run's initial weights, the same in every stage, or with those of a file.

    Initial weights are random, or timm's where `config.pretrained` says so.
    """
    backbone = seeded(lambda: build_backbone(config), seed, Stream.BACKBONE)
    if weights is None:
        load_pretrained(backbone, config)
    else:
        load_backbone(backbone, weights)
    return backbone


def start_encoder(model: ModelConfig, seed: int, weights: WeightsFile | None = None) -> Encoder:
    """Backbone and projector with the run's initial weights, or with those of a file that holds both."""
    backbone = start_backbone(model.backbone, seed, weights)
    encoder = seeded(lambda: Encoder(backbone, model.method_config.projector), seed, Stream.PROJECTOR)
    if weights is not None:
        encoder.projector.load_state_dict(weights.load(PROJECTOR))
    return encoder


def policy_classes(config: PolicyConfig) -> set[type[Policy]]:
    """The policy's class and, if it chooses among others, theirs; nothing for "none"."""
    return set() if config.name == "none" else POLICIES[config.name].parts(config.options)


def policy_files(config: PolicyConfig) -> list[Path]:
    """Files and folders that the policy's options name."""
    return [] if config.name == "none" else list(POLICIES[config.name].files(config.options))


def make_policy(
    config: PolicyConfig,
    *,
    mixer: _HasMixer | None,
    pretrained_mixer: WeightsFile | None,
    images_use: Normalisation,
) -> Policy | None:
    """The policy that `config` names; None for "none".

    Args: mixer, how the Mixer of policies samix and automix is trained along; pretrained_mixer, that of
    policy samix_p; images_use, (mean, std) that the images are normalised with.
    """
    if config.name == "none":
        return None
    if mixer is not None:
        return POLICIES[config.name](mixer.mixer, mixer.config.mask_adjust)
    if pretrained_mixer is not None:
        return SAMixP.from_file(pretrained_mixer.path, images_use=images_use)
    return static_policy(config, images_use)


def mixer_along(policy: PolicyConfig, kind: type[M], stage: MixerTrainingConfig) -> M | None:
    """How the policy's own Mixer is trained together with the backbone; None for policies that train none.

    Args: kind, the part of `stage`, the parameters of the Mixer's pre-training, that does not concern the
    stage itself: its length and its first weights do not change the result.
    """
    chosen = POLICIES.get(policy.name, Policy)
    if chosen.uses_mixer != "online":
        return None
    own = kind(**{name: getattr(stage, name) for name in kind.model_fields} | {"alpha": policy.alpha})
    return automix_config(own) if issubclass(chosen, AutoMix) else own


def static_policy(config: PolicyConfig, images_use: Normalisation | None = None) -> Policy:
    """A policy that needs no Mixer, with its options; some want to know how the images are normalised.

    Raises: ConfigError for options that the policy does not take.
    """
    kind, own = POLICIES[config.name], {}
    if images_use is not None and "mean" in inspect.signature(kind).parameters:
        own = {"mean": images_use[0], "std": images_use[1]}
    try:
        return kind(**own | read_options(kind, config.options))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"policy.options of {config.name}: {error}") from error


def load_backbone(backbone: Backbone, weights: WeightsFile) -> None:
    """Give `backbone` the weights of a file. Raises: DataError if the file is of another backbone."""
    try:
        backbone.load_state_dict(weights.load(BACKBONE))
    except RuntimeError as error:
        raise DataError(
            f"{weights.path} holds the weights of another backbone than `backbone` describes: set it as "
            "it was when they were trained."
        ) from error


def prefixed(module: torch.nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """State of a module under `prefix`, as it goes into a weights file."""
    return {prefix + name: tensor for name, tensor in module.state_dict().items()}
