"""AutoMix (Liu et al., 2022), the predecessor of SAMix."""

from __future__ import annotations

from typing import TypeVar

from samix.config.mixing import MixerTrainingConfig
from samix.mixup.policies.samix import SAMix

T = TypeVar("T", bound=MixerTrainingConfig)


class AutoMix(SAMix):
    """SAMix with AutoMix's block as the Mixer, trained by the mixed cross-entropy only.

    Masks, lam margin and the training loop are SAMix's; `automix_config` sets the Mixer and its losses.
    """


def automix_config(config: T) -> T:
    """The Mixer's parameters with AutoMix instead of SAMix; parameters that both share are unchanged.

    Queries and keys of separate maps by one convolution, linear content, nearest upsampling, no adaptive lam
    (a lam channel if `encoding` is concat, none otherwise, as on CIFAR and Tiny-ImageNet), mask loss l1, no
    local term.
    """
    encoding = "concat" if config.mixer.encoding == "concat" else "none"
    block = {"attention": "separate", "content": "linear", "upsample": "nearest", "encoding": encoding}
    update = {
        "loss": "global",
        "mixer": config.mixer.model_copy(update=block),
        "mask_loss": config.mask_loss.model_copy(update={"mode": "l1"}),
    }
    return config.model_copy(update=update)
