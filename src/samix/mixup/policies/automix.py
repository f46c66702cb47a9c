"""AutoMix (Liu et al., 2022), SAMix's ancestor."""

from __future__ import annotations

from typing import TypeVar

from samix.config.mixing import MixerTrainingConfig
from samix.mixup.policies.samix import SAMix

T = TypeVar("T", bound=MixerTrainingConfig)


class AutoMix(SAMix):
    """SAMix with AutoMix's block for a Mixer, trained by the mixed cross-entropy alone.

    Masks, lam margin and the training loop are SAMix's; `automix_config` has the Mixer and its losses.
    """


def automix_config(config: T) -> T:
    """The Mixer's parameters with AutoMix in the place of SAMix; what both have stays as it is.

    Queries and keys of separate maps by one convolution, linear content, nearest upsampling, no adaptive lam
    (a lam channel where `encoding` is concat, none otherwise, as on CIFAR and Tiny-ImageNet), mask loss l1,
    no local term.
    """
    encoding = "concat" if config.mixer.encoding == "concat" else "none"
    block = {"attention": "separate", "content": "linear", "upsample": "nearest", "encoding": encoding}
    update = {
        "loss": "global",
        "mixer": config.mixer.model_copy(update=block),
        "mask_loss": config.mask_loss.model_copy(update={"mode": "l1"}),
    }
    return config.model_copy(update=update)
